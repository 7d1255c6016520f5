"""Addresses of names by the system's resolver, which blocks a thread as long as it likes.

Owns: the threads, how many of them a tenant may keep busy, the limit of one lookup, which names are known to be slow.
Refuses to know: which addresses may be reached (`perimeter.guard`, above). Below: `limits.slots`.

A lookup that was given up keeps its thread until the resolver is done with it (10 seconds and more where a name server
does not answer), so it keeps its place for as long. Its place is one of the tenant's that asked: a page full of such
names slows that tenant's names down, and nobody else's.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock
from literesearcher.tools.limits.slots import Slots

THREADS = 64
OF_ONE_TENANT = 16
TURN_SECONDS = 10.0
"""How long one waits for a thread. Not of the lookup's own limit: that begins when the resolver is asked."""
SLOW_SECONDS = 10.0
"""A name that took too long is not asked for again for so long, unless its answer comes after all."""
_MOST_SLOW = 4096


@dataclass(frozen=True, slots=True)
class _Lookup:
    found: asyncio.Future[list[str]]
    until: float


class Lookups:
    """One a process. `seconds`: of one lookup, from its start."""

    def __init__(self, *, clock: Clock, seconds: float, threads: int = THREADS, each: int = OF_ONE_TENANT) -> None:
        self._clock = clock
        self._seconds = seconds
        self._number = threads
        self._places = Slots("the resolver", threads, clock=clock, each=each)
        self._threads: ThreadPoolExecutor | None = None
        self._under_way: dict[str, _Lookup] = {}
        self._slow: OrderedDict[str, float] = OrderedDict()

    async def addresses(self, host: str, *, tenant_id: str) -> Sequence[str]:
        """All of them. `OSError` where there are none; `TimeoutError`, which is one, where the resolver or a free
        thread took too long."""
        lookup = self._under_way.get(host) or await self._begun(host, tenant_id)
        patience = asyncio.ensure_future(self._clock.sleep(max(0.0, lookup.until - self._clock.monotonic())))
        try:
            # Not awaited itself: whoever gives up must not cancel what others wait for.
            await asyncio.wait((lookup.found, patience), return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()
        if not lookup.found.done():
            self._slow.pop(host, None)
            self._slow[host] = self._clock.monotonic() + SLOW_SECONDS
            if len(self._slow) > _MOST_SLOW:
                self._slow.popitem(last=False)
            raise TimeoutError
        return list(lookup.found.result())

    async def _begun(self, host: str, tenant_id: str) -> _Lookup:
        self._refuse_slow(host)
        try:
            await self._places.take(tenant_id, self._clock.monotonic() + TURN_SECONDS)
        except BoundaryError:
            raise TimeoutError from None
        begun = self._under_way.get(host)  # by another, while this one stood in line
        if begun is not None:
            self._places.release(tenant_id)
            return begun
        try:
            self._refuse_slow(host)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(max_workers=self._number, thread_name_prefix="resolve")
            found = asyncio.get_running_loop().run_in_executor(self._threads, _asked, host)
        except BaseException:
            self._places.release(tenant_id)
            raise
        lookup = self._under_way[host] = _Lookup(found, self._clock.monotonic() + self._seconds)
        found.add_done_callback(functools.partial(self._ended, host, tenant_id))
        return lookup

    def _refuse_slow(self, host: str) -> None:
        if self._slow.get(host, 0.0) > self._clock.monotonic():
            raise TimeoutError

    def _ended(self, host: str, tenant_id: str, found: asyncio.Future[list[str]]) -> None:
        del self._under_way[host]
        self._places.release(tenant_id)
        if not found.cancelled() and found.exception() is None:
            self._slow.pop(host, None)

    def close(self) -> None:
        """Let the threads go. Safe to call twice."""
        self._places.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def _asked(host: str) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
