"""How many orchestrator replicas (by the backlog) and tool proxies (by calls in flight and what providers allow). Pure.

Owns: the two demands. Refuses to know: Ray, clocks, stores, providers. Below: `steps`. Above: `ray_policies`.
A worker that leaves hands its jobs back at their next step, so nothing is re-made and a step down costs nothing but
patience; the jobs' KV stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from literesearcher.cluster.scaling.steps import Decision, Fleet, Pace, Patience, held, needed, step


@dataclass(frozen=True, slots=True)
class Work:
    """The job store's counts. None: not known."""

    at: float
    queued: int | None
    live: int | None
    allowed: int | None = None
    """Jobs that the KV pools let all workers together hold. None: nothing limits them."""


@dataclass(frozen=True, slots=True)
class ToolsLoad:
    """One tool proxy."""

    in_flight: int
    headroom: float = 1.0
    """Of the time that requests took of late, the share in which they did not wait for a provider's limit."""


@dataclass(frozen=True, slots=True)
class ToolsReading:
    """One look at the tool proxies."""

    at: float
    replicas: Sequence[ToolsLoad]
    missing: int = 0


@dataclass(frozen=True, slots=True)
class OrchestratorTuning:
    """What an operator may change."""

    pace: Pace = field(default_factory=lambda: Pace(high=0.9, low=0.6))
    jobs: int = 64
    """Jobs at once of a replica: RESEARCH__MAX_CONCURRENT_JOBS."""


@dataclass(frozen=True, slots=True)
class ToolsTuning:
    """What an operator may change."""

    pace: Pace = field(default_factory=lambda: Pace(high=0.8, low=0.5))
    calls: int = 64
    """Calls at once of a replica."""
    headroom: float = 0.2
    """With less of it, the providers' limits are what calls wait for, and one more proxy would wait for them too."""


def decide_orchestrators(
    work: Work, *, fleet: Fleet, tuning: OrchestratorTuning, patience: Patience
) -> tuple[Decision, Patience]:
    """The next number. Holds where the store did not tell. Of the backlog only those jobs count that the pools let in:
    for the others one more worker would bring no throughput, but a first window of its own to press the pools with."""
    if work.queued is None or work.live is None:
        replicas, reason, patience = held(fleet)
        return Decision(replicas, reason), patience
    backlog = work.queued if work.allowed is None else min(work.queued, max(0, work.allowed - work.live))
    terms = {"backlog": backlog / tuning.jobs, "live": work.live / tuning.jobs}
    terms["demand"] = terms["backlog"] + terms["live"]
    replicas, reason, patience = step(terms["demand"], work.at, fleet=fleet, pace=tuning.pace, patience=patience)
    if reason == "steady" and needed((work.queued + work.live) / tuning.jobs, fleet, tuning.pace) > replicas:
        reason = "pools"
    return Decision(replicas, reason, terms), patience


def decide_tools(
    reading: ToolsReading, *, fleet: Fleet, tuning: ToolsTuning, patience: Patience
) -> tuple[Decision, Patience]:
    """The next number. Holds where a running replica was not heard of; up only where providers would take more."""
    if reading.missing or (fleet.target and not reading.replicas):
        replicas, reason, patience = held(fleet)
        return Decision(replicas, reason), patience
    demand = sum(one.in_flight for one in reading.replicas) / tuning.calls
    busy = [one for one in reading.replicas if one.in_flight]
    headroom = sum(one.headroom * one.in_flight for one in busy) / sum(one.in_flight for one in busy) if busy else 1.0
    terms = {"in_flight": demand, "headroom": headroom, "demand": demand}
    tight = headroom < tuning.headroom and demand > fleet.target * tuning.pace.high
    if tight:
        terms["demand"] = fleet.target * tuning.pace.high
    replicas, reason, patience = step(terms["demand"], reading.at, fleet=fleet, pace=tuning.pace, patience=patience)
    return Decision(replicas, "headroom" if tight and reason == "steady" else reason, terms), patience
