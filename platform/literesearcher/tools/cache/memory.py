"""Kept bytes in one process: bounded, the least recently used leave first. The twin of `cache.shared`.

Owns: the bound, expiry by the clock. Refuses to know: what the bytes mean. Implements `cache.port.KeptStore`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from literesearcher.timing.clock import Clock

MAX_BYTES = 64_000_000
_OVERHEAD = 300
"""Bytes of an entry beside its value: key, record, dictionary slot."""
_LARGEST_SHARE = 4
"""A value of more than this part of the bound is not kept: it would push out too many others."""

_MANY_LOCKS = 1024


@dataclass(frozen=True, slots=True)
class _Kept:
    value: bytes
    until: float

    @property
    def size(self) -> int:
        return len(self.value) + _OVERHEAD


@dataclass(slots=True)
class _Lock:
    token: str
    until: float
    freed: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryKept:
    """One a process. `max_bytes` bounds values and their bookkeeping together."""

    def __init__(self, *, clock: Clock, max_bytes: int = MAX_BYTES) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._locks: dict[str, _Lock] = {}

    async def get(self, key: str) -> bytes | None:
        """The value while it lives, else None."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= self._clock.monotonic():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.value

    async def put(self, key: str, value: bytes, *, seconds: float) -> None:
        """Keep for so long; a value of more than a quarter of the bound is not kept."""
        if key in self._kept:
            self._drop(key)
        kept = _Kept(value, self._clock.monotonic() + seconds)
        if kept.size > self._max_bytes // _LARGEST_SHARE:
            return
        self._kept[key] = kept
        self._bytes += kept.size
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    async def lock(self, key: str, token: str, *, seconds: float) -> bool:
        """True where `token` holds the lock from here on."""
        now = self._clock.monotonic()
        held = self._locks.get(key)
        if held is not None and held.token != token:
            if held.until > now:
                return False
            self._free(key, held)
        if held is not None and held.token == token:
            held.until = now + seconds
        else:
            if len(self._locks) >= _MANY_LOCKS:  # those that were left to run out
                for name, old in [(name, old) for name, old in self._locks.items() if old.until <= now]:
                    self._free(name, old)
            self._locks[key] = _Lock(token, now + seconds)
        return True

    async def unlock(self, key: str, token: str) -> None:
        """Free the lock if `token` holds it."""
        held = self._locks.get(key)
        if held is not None and held.token == token:
            self._free(key, held)

    async def wait(self, key: str, *, seconds: float) -> None:
        """Until the lock is free or has run out, or so long at most."""
        end = self._clock.monotonic() + seconds
        while (held := self._locks.get(key)) is not None:
            now = self._clock.monotonic()
            if held.until <= now or end <= now:
                return
            freed = asyncio.ensure_future(held.freed.wait())
            over = asyncio.ensure_future(self._clock.sleep(min(held.until, end) - now))
            try:
                await asyncio.wait((freed, over), return_when=asyncio.FIRST_COMPLETED)
            finally:
                freed.cancel()
                over.cancel()

    async def aclose(self) -> None:
        """Forget everything. Safe to call twice."""
        for key, held in list(self._locks.items()):
            self._free(key, held)
        self._kept.clear()
        self._bytes = 0

    def _free(self, key: str, held: _Lock) -> None:
        held.freed.set()
        del self._locks[key]

    def _drop(self, key: str) -> None:
        self._bytes -= self._kept.pop(key).size
