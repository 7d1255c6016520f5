"""The scaling policies' metrics, declared: names, help, labels.

Owns: the declarations, and how a decision is shown, over any maker of gauges. The policies run in Ray Serve's
controller, whose metrics leave by Ray's agent: `cluster.scaling.signs` makes them there, tests by Prometheus' client.
Refuses to know: Ray, the policies. Labels are bounded: applications, and the names of terms and reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeclaredGauge:
    """One gauge and its labels."""

    name: str
    help: str
    labels: tuple[str, ...]


Set = Callable[[float, Mapping[str, str]], None]
"""(value, labels)."""
WANTED = DeclaredGauge("literesearcher_scaling_wanted_replicas", "Replicas that the policy asks for.", ("application",))
TERM = DeclaredGauge(
    "literesearcher_scaling_term",
    "What the decision was made of, in replicas' worth; headroom is a share, rehome_seconds are seconds.",
    ("application", "term"),
)
REASON = DeclaredGauge(
    "literesearcher_scaling_reason",
    "1 for why the number is what it is: steady, up, down, bounds, patience, starting, blocked, rehome, missing (held "
    "for want of data), headroom, pools.",
    ("application", "reason"),
)


class ScalingMetrics:
    """One object a policy."""

    def __init__(self, application: str, make: Callable[[DeclaredGauge], Set]) -> None:
        self._application = {"application": application}
        self._wanted, self._term, self._reason = make(WANTED), make(TERM), make(REASON)
        self._terms: set[str] = set()
        self._said = ""

    def decided(self, replicas: int, reason: str, terms: Mapping[str, float]) -> None:
        """The last decision. A term that it has not is 0: gauges keep what they were set to."""
        self._wanted(replicas, self._application)
        self._terms |= set(terms)
        for name in self._terms:
            self._term(terms.get(name, 0.0), {**self._application, "term": name})
        if self._said and self._said != reason:
            self._reason(0, {**self._application, "reason": self._said})
        self._reason(1, {**self._application, "reason": reason})
        self._said = reason
