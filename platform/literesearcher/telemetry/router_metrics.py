"""The router's metrics, declared: names, help, labels, buckets.

Owns: the declarations, and how they are counted, over any maker of counters and histograms. The processes that route
are Ray's own, whose metrics leave by Ray's agent: `cluster.routing.router` makes them there, tests by Prometheus'
client. Refuses to know: Ray, the policy. Labels are bounded: decision labels; never a job, never a replica.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric with at most one label. Histograms have `bounds`, counters none."""

    name: str
    help: str
    label: str | None = None
    bounds: tuple[float, ...] = ()


Count = Callable[[float, str], None]
"""(value, label's value): adds to a counter, or observes. The label's value is empty where the metric has no label."""
DECISIONS = Declared(
    "literesearcher_router_decisions",
    "Calls by decision (home, stay, spill, rehome, fallback, choices, overflow).",
    "decision",
)
EXPECTED_SECONDS = Declared(
    "literesearcher_router_expected_seconds",
    "What a call was thought to cost where it was sent, without its own decoding.",
    "decision",
    (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
STATS_AGE_SECONDS = Declared(
    "literesearcher_router_stats_age_seconds",
    "How long ago the replica that a call was sent to last said something.",
    None,
    (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0),
)

MOVED = Declared(
    "literesearcher_router_calls_moved",
    "Calls that had to be made elsewhere: lost (with their replica, made again by the retry owner), refused (by one "
    "that is to stop, sent on at once).",
    "reason",
)


class RouterMetrics:
    """One object a router."""

    def __init__(self, make: Callable[[Declared], Count]) -> None:
        self._decisions = make(DECISIONS)
        self._expected = make(EXPECTED_SECONDS)
        self._age = make(STATS_AGE_SECONDS)

    def sent(self, label: str, seconds: float | None, age: float | None) -> None:
        """A call was sent."""
        self._decisions(1, label)
        if seconds is not None:
            self._expected(seconds, label)
        if age is not None:
            self._age(age, "")
