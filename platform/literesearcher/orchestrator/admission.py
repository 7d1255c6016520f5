"""How many jobs a worker may hold: the port that it asks before it claims, and the answer where nothing limits it more.

Owns: the question. Refuses to know: why the limit moves. Above: the worker; `cluster.admission` follows KV pools.
"""

from __future__ import annotations

from typing import Protocol


class Admission(Protocol):
    """Asked before each claim, so often."""

    async def room(self, held: int) -> int:
        """How many jobs may be claimed by one who holds so many, paused ones included; at least 0. Never raises, and
        answers at once or within moments: heartbeats do not wait for it, but claims do."""
        ...


class FixedAdmission:
    """A number that does not move."""

    def __init__(self, most: int) -> None:
        self._most = most

    async def room(self, held: int) -> int:
        """What is left of it."""
        return max(0, self._most - held)
