"""Which live text may go to one client, and when: the order between deltas and journal events.

What it promises: the deltas of a turn, put together, are a prefix of that turn's text; none comes before its
turn.started or after its turn.completed; text that a crash or a retry made void is announced by `turn.restarted`.
Pure: knows no tasks, no sockets. `gateway.stream` feeds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from literesearcher.jobs.live import Delta
from literesearcher.jobs.model import Envelope
from literesearcher.research.events import EffectFailed, EffectUnknown, JobEnded, TurnCompleted, TurnStarted

_OPENS = TurnStarted.type
_CLOSES = frozenset({TurnCompleted.type, EffectFailed.type, EffectUnknown.type, JobEnded.type})
TURN_EVENTS = _CLOSES | {_OPENS}


class LiveText:
    """The running turn as one client knows it."""

    def __init__(self) -> None:
        self._turn: int | None = None
        self._attempt = 0
        self._sent = 0
        self._void: int | None = None
        """Turn that a crash cut off: what anybody heard of it, here or on an earlier connection, is void."""
        self._announced: tuple[int, int] | None = None

    def running(self, delta: Delta) -> bool:
        """Is this delta's turn the one that the journal, as far as it was sent, says is running?"""
        return delta.turn == self._turn and delta.attempt <= self._attempt

    def see(self, envelope: Envelope) -> Delta | None:
        """Take note of a journal event; a Delta that must follow it at once, or None."""
        if envelope.type in _CLOSES:
            lost = envelope.type == EffectUnknown.type and envelope.payload.get("intent_type") == _OPENS
            if lost:
                self._void = int(envelope.payload.get("turn", 0))
            self._turn = None
        elif envelope.type == _OPENS:
            turn = int(envelope.payload.get("turn", 0))
            void = turn in (self._void, self._turn)
            said = self._announced == (turn, envelope.attempt) and self._sent == 0
            self._turn, self._attempt, self._sent, self._void = turn, envelope.attempt, 0, None
            if void and not said:
                return self._restarted(envelope.job_id, turn, envelope.attempt)
            if not void:
                self._announced = None
        return None

    def admit(self, delta: Delta) -> Delta | None:
        """What of this delta goes out now: all, its new end, or None."""
        if delta.turn != self._turn or delta.attempt < self._attempt:
            return None
        if delta.kind == "restarted":
            if self._sent == 0 and self._announced == (delta.turn, delta.attempt):
                return None
            self._attempt = delta.attempt
            return self._restarted(delta.job_id, delta.turn, delta.attempt)
        known = self._sent - delta.offset
        if known < 0 or known >= len(delta.text):
            return None
        self._sent += len(delta.text) - known
        if known == 0:
            return delta
        return Delta(delta.job_id, delta.turn, delta.attempt, delta.offset + known, delta.text[known:])

    def _restarted(self, job_id: str, turn: int, attempt: int) -> Delta:
        self._sent = 0
        self._announced = (turn, attempt)
        return Delta(job_id, turn, attempt, 0, "", kind="restarted")


@dataclass(slots=True)
class Backlog:
    """Live text that a client has not taken yet, pieces put together. Holds one turn's text at most: an older turn's
    is in the journal by the time a newer one speaks, so a slow client costs no more than that."""

    _restart: Delta | None = None
    _first: Delta | None = None
    _pieces: list[str] = field(default_factory=list)
    _end: int = 0

    def add(self, delta: Delta) -> None:
        """Keep a delta until `take`."""
        if delta.kind == "restarted":
            self._restart, self._first, self._pieces = delta, None, []
            return
        if self._restart is not None and (self._restart.turn, self._restart.attempt) != (delta.turn, delta.attempt):
            self._restart = None
        first = self._first
        same = first is not None and (first.turn, first.attempt) == (delta.turn, delta.attempt)
        if same and delta.offset > 0:
            known = self._end - delta.offset
            if 0 <= known < len(delta.text):
                self._pieces.append(delta.text[known:])
                self._end += len(delta.text) - known
            return
        self._first, self._pieces, self._end = delta, [delta.text], delta.offset + len(delta.text)

    def take(self) -> list[Delta]:
        """What was kept, oldest first: at most a restart and one text."""
        taken = [] if self._restart is None else [self._restart]
        first = self._first
        if first is not None:
            taken.append(Delta(first.job_id, first.turn, first.attempt, first.offset, "".join(self._pieces)))
        self._restart, self._first, self._pieces = None, None, []
        return taken
