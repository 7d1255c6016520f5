"""Reuse in one process: a cache bounded in bytes and time, and single flight (identical lookups at once run once).

Owns: keys' lifetimes as given, what is thrown out, who waits on whom. Refuses to know: what is looked up.
Failures are never kept: a lookup that raises raises for those who wait on it and is forgotten. A waiter that is
cancelled leaves; the lookup itself is cancelled when the last one has left.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock

T = TypeVar("T")
How = Literal["hit", "miss", "coalesced"]

MAX_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Produced(Generic[T]):
    """A lookup's result. `keep` False: true now, but not to be used again. `size` in bytes, roughly."""

    value: T
    size: int
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A value and how it was come by; `cache` is None where reuse is off. `at`: unix seconds of its production."""

    value: T
    cache: How | None
    at: float


@dataclass(slots=True)
class _Kept:
    value: Any
    size: int
    until: float
    at: float


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[tuple[Any, float]]
    waiters: int = 0


def key_of(*parts: str) -> str:
    """One key of several parts, so that no part can pass for another."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "replace")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


class Reuse:
    """The in-process cache; least recently used entries leave first. `enabled` False turns off every reuse."""

    def __init__(self, *, clock: Clock, enabled: bool = True, max_bytes: int = MAX_BYTES) -> None:
        self._clock = clock
        self._enabled = enabled
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._flights: dict[str, _Flight] = {}
        self._closed = False

    async def get(
        self, key: str, *, lifetime_seconds: float, produce: Callable[[], Awaitable[Produced[T]]]
    ) -> Found[T]:
        """The kept value, the value of a lookup under way, or that of a new one."""
        if not self._enabled:
            produced = await produce()
            return Found(produced.value, None, self._clock.now().timestamp())
        kept = self._fresh(key)
        if kept is not None:
            return Found(kept.value, "hit", kept.at)
        flight = self._flights.get(key)
        how: How = "miss" if flight is None else "coalesced"
        if flight is None:
            flight = _Flight(asyncio.create_task(self._run(key, lifetime_seconds, produce)))
            self._flights[key] = flight
            flight.task.add_done_callback(lambda task: self._landed(key, task))
        flight.waiters += 1
        try:
            value, at = await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if flight.task.cancelled() and task is not None and not task.cancelling():
                raise BoundaryError("the tools were closed", code="tools_closed") from None
            raise
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                flight.task.cancel()
                self._forget_flight(key, flight.task)
        return Found(value, how, at)

    async def _run(
        self, key: str, lifetime_seconds: float, produce: Callable[[], Awaitable[Produced[T]]]
    ) -> tuple[T, float]:
        produced = await produce()
        at = self._clock.now().timestamp()
        if produced.keep and produced.size <= self._max_bytes // 4 and not self._closed:
            self._keep(key, _Kept(produced.value, produced.size, self._clock.monotonic() + lifetime_seconds, at))
        return produced.value, at

    def _landed(self, key: str, task: asyncio.Task[Any]) -> None:
        self._forget_flight(key, task)
        if not task.cancelled():
            task.exception()  # seen, also where every waiter has left

    def _forget_flight(self, key: str, task: asyncio.Task[Any]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]

    def _fresh(self, key: str) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= self._clock.monotonic():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def _keep(self, key: str, kept: _Kept) -> None:
        if key in self._kept:
            self._drop(key)
        self._kept[key] = kept
        self._bytes += kept.size
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        self._bytes -= self._kept.pop(key).size

    async def aclose(self) -> None:
        """Cancel what is under way and forget everything. Safe to call twice."""
        self._closed = True
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._kept.clear()
        self._bytes = 0
