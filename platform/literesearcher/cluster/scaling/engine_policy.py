"""How many engine replicas: by what the KV pools will hold when a replica that is asked for at this moment has started.

Owns: the terms of the demand, each in replicas' worth, of which the largest counts: KV tokens of live and paused jobs
one cold start ahead, with the jobs that wait in the queue; prompt tokens in line against the prefill rate; running
requests against the decode rate. The time to the first token is a guard: it may ask for one more, never for less.
Refuses to know: Ray, clocks, who measured. Pure. Below: `steps`. Above: `ray_policies`, and simulations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from literesearcher.cluster.scaling.steps import Decision, Fleet, Pace, Patience, held, step
from literesearcher.engine.load import EngineLoad


@dataclass(frozen=True, slots=True)
class EngineTuning:
    """What an operator may change. Seconds and tokens."""

    pace: Pace = field(default_factory=Pace)
    start_seconds: float = 120.0
    """A cold start: CLUSTER__START_SECONDS."""
    job_tokens: int = 131_072
    """A job's KV at most: the context length."""
    new_job_tokens: int = 12_000
    """A job's KV where no live job shows it yet: system prompt, question and the first two tool results."""
    prefill_seconds: float = 30.0
    """Prompt tokens in line are to be through by then."""
    request_per_second: float = 20.0
    """Generated tokens that each running request shall get at least."""
    ttft_seconds: float = 60.0
    """The guard's bound."""


@dataclass(frozen=True, slots=True)
class EngineReading:
    """One look. `replicas` are those that were heard of lately; `missing` counts the running ones that were not."""

    at: float
    replicas: Sequence[EngineLoad]
    missing: int = 0
    queued: int | None = 0
    """Jobs that wait to be started; None: not known."""
    live: int | None = None
    """Jobs that are held by a worker, paused in a tool or not; None: not known."""
    ttft_seconds: float | None = None
    """The worst of the replicas, of late."""


@dataclass(frozen=True, slots=True)
class EngineMemory:
    """What is remembered between two looks."""

    patience: Patience = field(default_factory=Patience)
    seen_at: float | None = None
    seen_held: float = 0.0
    growth: float = 0.0
    """KV tokens a second, smoothed over one cold start."""
    job_tokens: float = 0.0
    """What a live job held, when there were some."""
    decode: float = 0.0
    """The most that a replica generated in a second."""
    prefill: float = 0.0
    """Prompt tokens a second of a replica, as last known."""
    guard: int = 0
    """Replicas that the guard asked for; 0: none."""
    guard_demand: float = 0.0
    """The demand at which it did: only when that has clearly gone may they go."""


def decide(
    reading: EngineReading, *, fleet: Fleet, tuning: EngineTuning, memory: EngineMemory
) -> tuple[Decision, EngineMemory]:
    """The next number of replicas. Holds where anything is not known, and never raises for finite figures."""
    if reading.missing or reading.queued is None or (fleet.target and not reading.replicas):
        replicas, reason, patience = held(fleet)
        return Decision(replicas, reason), replace(memory, patience=patience)
    memory = _noted(reading, tuning, memory)
    terms = _terms(reading, tuning, memory)
    demand = max(terms["kv"] + terms["backlog"], terms["prefill"], terms["decode"])
    memory = _guarded(reading, fleet, tuning, memory, demand)
    if memory.guard:
        # Just above what one replica less may be filled to: asks for so many, and for no more.
        terms["ttft"] = (memory.guard - 1) * tuning.pace.high + 1e-6
    terms["demand"] = max(demand, terms.get("ttft", 0.0))
    rehome = rehome_seconds(reading, memory)
    terms["rehome_seconds"] = rehome
    replicas, reason, patience = step(
        terms["demand"],
        reading.at,
        fleet=fleet,
        pace=tuning.pace,
        patience=memory.patience,
        rehome_seconds=rehome,
    )
    return Decision(replicas, reason, terms), replace(memory, patience=patience)


def rehome_seconds(reading: EngineReading, memory: EngineMemory) -> float:
    """What it costs to prefill elsewhere what the fullest replica holds, in seconds; infinite where the rate is not
    known. The fullest, since Serve stops the newest whatever it holds, and does not say which that is."""
    fullest = max((load.kv_used for load in reading.replicas), default=0)
    if not fullest:
        return 0.0
    return fullest / memory.prefill if memory.prefill > 0 else math.inf


def _terms(reading: EngineReading, tuning: EngineTuning, memory: EngineMemory) -> dict[str, float]:
    loads = reading.replicas
    pools = [load.kv_capacity for load in loads if load.kv_capacity > 0]
    terms = {"kv": 0.0, "backlog": 0.0, "prefill": 0.0, "decode": 0.0}
    if pools:
        pool = sum(pools) / len(pools)
        terms["kv"] = _forecast(reading, tuning, memory) / pool
        terms["backlog"] = (reading.queued or 0) * (memory.job_tokens or tuning.new_job_tokens) / pool
    if memory.prefill > 0:
        in_line = sum(load.queued_prefill for load in loads)
        terms["prefill"] = in_line / (memory.prefill * tuning.prefill_seconds)
    if memory.decode > 0:
        running = sum(load.running + load.waiting for load in loads)
        # A request alone goes no faster on a second replica: never more replicas than requests.
        terms["decode"] = min(float(running), running * tuning.request_per_second / memory.decode)
    return terms


def _forecast(reading: EngineReading, tuning: EngineTuning, memory: EngineMemory) -> float:
    """KV tokens one cold start ahead: what is held, and what will have come. Jobs end too, so it never falls below what
    is held only because of a trend; and no job outgrows its context."""
    now_held = float(sum(load.kv_used for load in reading.replicas))
    ahead = now_held + max(0.0, memory.growth) * tuning.start_seconds
    if reading.live is not None:
        ahead = min(ahead, max(now_held, float(reading.live * tuning.job_tokens)))
    return ahead


def _noted(reading: EngineReading, tuning: EngineTuning, memory: EngineMemory) -> EngineMemory:
    now_held = float(sum(load.kv_used for load in reading.replicas))
    growth = memory.growth
    passed = 0.0 if memory.seen_at is None else reading.at - memory.seen_at
    if passed > 0:
        # Written so that a short look weighs little; not clipped, so that a replica that went away, and whose jobs came
        # back elsewhere, leaves no trend behind.
        weight = 1 - math.exp(-passed / tuning.start_seconds)
        growth += weight * ((now_held - memory.seen_held) / passed - growth)
    rates = [load.prefill_per_second for load in reading.replicas if load.prefill_per_second > 0]
    return replace(
        memory,
        seen_at=reading.at,
        seen_held=now_held,
        growth=growth,
        job_tokens=now_held / reading.live if reading.live and now_held else memory.job_tokens,
        decode=max([memory.decode, *(load.decode_per_second for load in reading.replicas)]),
        prefill=sum(rates) / len(rates) if rates else memory.prefill,
    )


def _guarded(
    reading: EngineReading, fleet: Fleet, tuning: EngineTuning, memory: EngineMemory, demand: float
) -> EngineMemory:
    slow = reading.ttft_seconds is not None and reading.ttft_seconds > tuning.ttft_seconds
    if slow and fleet.running >= fleet.target and memory.guard <= fleet.target:
        return replace(memory, guard=fleet.target + 1, guard_demand=demand)
    if not slow and demand <= memory.guard_demand * tuning.pace.low / tuning.pace.high:
        return replace(memory, guard=0, guard_demand=0.0)
    return memory
