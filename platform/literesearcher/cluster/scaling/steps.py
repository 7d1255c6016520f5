"""From a demand to a number of replicas, one step at a time: thresholds, patience, bounds. Pure.

Owns: that a steady demand gives a steady number. Up when the demand passes `high` of the replicas there are, and has
for `up_seconds`; down by one when one replica less would be filled to no more than `low`, for so long as it takes.
Between the two lies nothing to do: one that came is not taken back by the demand that brought it.
Refuses to know: what the demand is made of, Ray, clocks (instants come in). Above: the three policies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

Reason = Literal["steady", "up", "down", "bounds", "patience", "starting", "rehome", "missing", "headroom", "pools"]
_SLIVER = 1e-9
"""Of a replica: what rounding may cost."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Fill levels as shares of a replica, and patience in seconds. `low` < `high`, or a number would swing."""

    high: float = 0.85
    low: float = 0.6
    up_seconds: float = 3.0
    down_seconds: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError("low must be above 0 and below high")


@dataclass(frozen=True, slots=True)
class Fleet:
    """What there is: the number that was asked for, how many of them run, and the bounds."""

    target: int
    running: int
    least: int
    most: int

    def bounded(self, wanted: int) -> int:
        """Within the bounds."""
        return max(self.least, min(self.most, wanted))


@dataclass(frozen=True, slots=True)
class Patience:
    """What a policy remembers between two looks. Instants in seconds."""

    over_since: float | None = None
    over_least: float = math.inf
    """The least demand since then: a peak alone brings nothing."""
    under_since: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas, why, and what it was made of: `terms` are replicas' worth, for metrics."""

    replicas: int
    reason: Reason
    terms: dict[str, float] = field(default_factory=dict)


def needed(demand: float, fleet: Fleet, pace: Pace) -> int:
    """The replicas that carry this demand filled to `high` at most, within the bounds."""
    share = demand / pace.high
    return fleet.bounded(fleet.most if share >= fleet.most else math.ceil(share - _SLIVER))


def held(fleet: Fleet, reason: Reason = "missing") -> tuple[int, Reason, Patience]:
    """Stay, within the bounds, and begin to count patience anew."""
    return fleet.bounded(fleet.target), reason, Patience()


def step(
    demand: float, at: float, *, fleet: Fleet, pace: Pace, patience: Patience, rehome_seconds: float = 0.0
) -> tuple[int, Reason, Patience]:
    """The next number, why, and what to remember. `demand` in replicas' worth, finite, at least 0.

    `rehome_seconds`: what it costs to make elsewhere what a stopped replica held, in seconds of a replica. Less than
    that was saved cannot be known ahead; a demand that has been low for so long is taken to stay so for as long again,
    which never loses more than half of what the best choice would have saved.
    """
    if fleet.bounded(fleet.target) != fleet.target:
        return held(fleet, "bounds")
    wanted = needed(demand, fleet, pace)
    if wanted > fleet.target:
        since = at if patience.over_since is None else min(at, patience.over_since)
        least = min(patience.over_least, demand)
        if at - since < pace.up_seconds:
            return fleet.target, "patience", Patience(over_since=since, over_least=least)
        return max(fleet.target, needed(least, fleet, pace)), "up", Patience()
    if fleet.target - 1 < fleet.least or demand > (fleet.target - 1) * pace.low + _SLIVER:
        return fleet.target, "steady", Patience()
    if fleet.running < fleet.target:
        return fleet.target, "starting", Patience()
    since = at if patience.under_since is None else min(at, patience.under_since)
    waiting = Patience(under_since=since)
    if at - since < pace.down_seconds:
        return fleet.target, "patience", waiting
    if at - since < rehome_seconds:
        return fleet.target, "rehome", waiting
    return fleet.target - 1, "down", Patience()
