"""The live text of one turn, gathered into pieces worth sending.

Owns: when a piece is sent, and its offset. Refuses to know: who listens, engines, the journal. Losing a piece loses
nothing that counts: the turn is journalled whole.
"""

from __future__ import annotations

from literesearcher.jobs.live import Delta, Live
from literesearcher.timing.clock import Clock

PIECE_CHARACTERS = 256
PIECE_SECONDS = 0.05
"""A reader sees no difference below this, and a fast server sends a token every few milliseconds."""


class TurnStream:
    """A sink for the engine. Offsets count characters from the turn's beginning, again from 0 after `restart`."""

    def __init__(self, *, live: Live, clock: Clock, job_id: str, turn: int, attempt: int) -> None:
        self._live = live
        self._clock = clock
        self._job_id = job_id
        self._turn = turn
        self._attempt = attempt
        self._gathered: list[str] = []
        self._size = 0
        self._offset = 0
        self._sent_at = float("-inf")

    async def text(self, piece: str) -> None:
        """Take a piece; send what is gathered when it is long or old enough."""
        self._gathered.append(piece)
        self._size += len(piece)
        if self._size >= PIECE_CHARACTERS or self._clock.monotonic() - self._sent_at >= PIECE_SECONDS:
            await self.flush()

    async def flush(self) -> None:
        """Send what is gathered."""
        if not self._size:
            return
        text = "".join(self._gathered)
        delta = Delta(self._job_id, self._turn, self._attempt, self._offset, text)
        self._gathered.clear()
        self._size = 0
        self._offset += len(text)
        self._sent_at = self._clock.monotonic()
        await self._live.publish(delta)

    async def restart(self) -> None:
        """What was sent of this turn is void: it is generated again from its beginning."""
        self._gathered.clear()
        self._size = 0
        self._offset = 0
        await self._live.publish(Delta(self._job_id, self._turn, self._attempt, 0, "", kind="restarted"))
