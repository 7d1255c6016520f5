"""A turn's text on its way through Redis: its form on the wire, and the follower that puts it together again.

Owns: that every character comes out once, in order, whether it was read from the job's stream (late joiners) or heard
on its channel. Refuses to know: connections (`jobs.live_redis`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from literesearcher.jobs.live import Delta, Follower, RunningText, joined

Outgoing = Delta | int
"""A delta, or the number of a turn that is finished."""


def encoded(items: Sequence[Outgoing]) -> bytes:
    """`[turn]` for the end of a turn, `[turn, attempt, offset, text, kind]` for a delta."""
    wire: list[list[Any]] = []
    run: list[Delta] = []
    for item in [*items, 0]:
        if isinstance(item, Delta):
            run.append(item)
            continue
        wire += [[delta.turn, delta.attempt, delta.offset, delta.text, delta.kind] for delta in joined(run)]
        run = []
        if item:
            wire.append([item])
    return orjson.dumps(wire)


def decoded(job_id: str, data: bytes) -> list[Outgoing]:
    """What `encoded` made."""
    return [item[0] if len(item) == 1 else Delta(job_id, *item) for item in orjson.loads(data)]


class RemoteFollower(Follower):
    """A follower that puts the text so far and the deltas after it together, each character once."""

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self._job_id = job_id
        self._at: tuple[int, int, int] = (0, 0, 0)
        """Attempt, turn, and offset of the next character."""
        self._held: list[bytes] | None = []
        """Messages that wait for the text so far."""

    def hold(self) -> None:
        """Messages wait until `catch_up`."""
        self._held = self._held or []

    def heard(self, data: bytes) -> None:
        """A message of the job's channel."""
        if self._held is not None:
            self._held.append(data)
            return
        for item in decoded(self._job_id, data):
            if isinstance(item, Delta):
                self._hand_on(item)

    def catch_up(self, entries: list[bytes]) -> None:
        """The job's stream: what is still running of it, then what was held."""
        text = RunningText()
        for item in (item for data in entries for item in decoded(self._job_id, data)):
            if isinstance(item, int):
                if text.finish(item):
                    text = RunningText()
            else:
                text.add(item)
        so_far = text.so_far()
        if so_far is not None:
            self._hand_on(so_far)
        held, self._held = self._held or [], None
        for data in held:
            self.heard(data)

    def _hand_on(self, delta: Delta) -> None:
        attempt, turn, offset = self._at
        place = (delta.attempt, delta.turn)
        if place < (attempt, turn):
            return
        known = offset - delta.offset if place == (attempt, turn) and delta.kind == "text" else 0
        if known > 0:
            delta = replace(delta, offset=offset, text=delta.text[known:])
        if delta.text or delta.kind == "restarted":
            self._at = (*place, delta.offset + len(delta.text))
            self.put(delta)
