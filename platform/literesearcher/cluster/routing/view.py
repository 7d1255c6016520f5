"""What one calling process knows of the replicas: their last reports, and its own calls that these do not show yet, or
still show.

Owns: when a report is stale, which calls of this process to add to it, and which to take off: a job whose turn has just
ended must not meet that turn as its home's load, and leave its prefix for it. A report's age is counted from when it
came, by this process's clock: the clocks of nodes need not agree. Refuses to know: Ray, decisions. Above: `router`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from literesearcher.cluster.routing.policy import Parameters, Replica
from literesearcher.cluster.routing.stats import ReplicaStats, agreed, read, weight_of
from literesearcher.engine.load import EngineLoad
from literesearcher.timing.clock import Clock

STALE_SECONDS = 6.0
"""Reports come every 1 to 2 s and take up to 1.4 s: so old, several in a row did not come."""
LAG_SECONDS = 1.0
"""A report shows what was sent to its replica so long before it came here."""


@dataclass(slots=True)
class _Sent:
    at: float
    prefill: int
    kv: int
    ended: float = 0.0


@dataclass(slots=True)
class _Known:
    weight: float | None = None
    said: ReplicaStats | None = None
    came: float = 0.0
    running: dict[str, deque[_Sent]] = field(default_factory=dict)
    over: list[_Sent] = field(default_factory=list)
    """Ended, but perhaps not so yet in the last report."""


class ReplicasView:
    """One a router. Not safe for several threads: Ray calls a router in one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def heard(self, replicas: Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> None:
        """(id, metadata, routing stats) of all replicas there are. One that is missing is forgotten."""
        known: dict[str, _Known] = {}
        for name, metadata, stats in replicas:
            entry = known[name] = self._known.get(name) or _Known()
            entry.weight = weight_of(metadata)
            said = read(stats)
            if said is not None and (entry.said is None or said.sequence != entry.said.sequence):
                entry.said, entry.came = said, self._clock.monotonic()
                entry.over = [sent for sent in entry.over if sent.ended > entry.came - LAG_SECONDS]
        self._known = known

    def replicas(self, names: Iterable[str]) -> list[Replica]:
        """These as the policy wants them; a name that was never heard of has said nothing."""
        now = self._clock.monotonic()
        return [self._replica(name, self._known.get(name) or _Known(), now) for name in names]

    def parameters(self) -> Parameters:
        """As the replicas name them."""
        return agreed(known.said.parameters for known in self._known.values() if known.said)

    def age(self, name: str) -> float | None:
        """Seconds since its last report, None where none came."""
        known = self._known.get(name)
        return None if known is None or known.said is None else self._clock.monotonic() - known.came

    def sent(self, name: str, call: str, *, prefill: int, kv: int) -> None:
        """A call of this process goes there. `call` need not be unique: Ray gives all children of a request one id."""
        if name in self._known:
            calls = self._known[name].running.setdefault(call, deque())
            calls.append(_Sent(self._clock.monotonic(), prefill, kv))

    def ended(self, name: str, call: str) -> None:
        """One of them is over. Unknown ones are no error."""
        known = self._known.get(name)
        calls = known.running.get(call) if known else None
        if known and calls:
            sent = calls.popleft()
            sent.ended = self._clock.monotonic()
            if known.said is not None and sent.at < known.came:
                known.over.append(sent)
            if not calls:
                del known.running[call]

    def _replica(self, name: str, known: _Known, now: float) -> Replica:
        said = known.said if known.said and now - known.came <= STALE_SECONDS else None
        shown = known.came - LAG_SECONDS
        fresh = [sent for calls in known.running.values() for sent in calls if said is None or sent.at > shown]
        return Replica(
            id=name,
            weight=known.weight,
            load=_without(said.load, known.over) if said else None,
            sent_prefill=sum(sent.prefill for sent in fresh),
            sent_kv=sum(sent.kv for sent in fresh),
            sent_calls=len(fresh),
            # One that left did so for good: an old word of it is as good as a new one.
            leaving=known.said.leaving if known.said else 0.0,
        )


def _without(load: EngineLoad, over: Sequence[_Sent]) -> EngineLoad:
    """What is left of the load, at least, where these calls are over. What a job holds of the pool stays held."""
    if not over:
        return load
    waiting = max(0, load.waiting - max(0, len(over) - load.running))
    queued = max(0, load.queued_prefill - sum(sent.prefill for sent in over))
    return replace(load, running=max(0, load.running - len(over)), waiting=waiting, queued_prefill=queued)
