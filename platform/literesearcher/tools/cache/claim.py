"""One lookup at a time across processes: a lock with a token, renewed while its holder lives.

Owns: how long a lock lasts and how long others wait on it. Refuses to know: what is looked up. Above: `cache.results`.
A holder that dies stops renewing, so that others take over after `LOCK_SECONDS`; who finds no store goes on alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from literesearcher.timing.clock import Clock
from literesearcher.tools.cache.port import KeptStore
from literesearcher.tools.redis_link import RedisAway

T = TypeVar("T")

LOCK_SECONDS = 15.0
_RENEW_SECONDS = 5.0
WAIT_SECONDS = 150.0
"""As long as the slowest page may take; who has waited so long goes on alone."""


@dataclass(frozen=True, slots=True)
class Claim(Generic[T]):
    """`found`: what another process put there meanwhile. `ours`: it is ours to look up; else another is at it."""

    found: T | None
    ours: bool


@contextlib.asynccontextmanager
async def claimed(
    store: KeptStore, key: str, *, look: Callable[[], Awaitable[T | None]], clock: Clock, waits: bool = True
) -> AsyncIterator[Claim[T]]:
    """What became of the wish to look something up; `look` gives what is kept and can be used.

    Without `waits` nothing is waited for, and after a failure the lock is left to run out: a pause before the next try.
    """
    token = secrets.token_hex(16)
    claim = await _claim(store, key, token, look, clock, waits)
    if not claim.ours:
        yield claim
        return
    renewing = asyncio.create_task(_renew(store, key, token, clock))
    done = False
    try:
        yield claim
        done = True
    finally:
        renewing.cancel()
        if done or waits:
            with contextlib.suppress(RedisAway):
                await store.unlock(key, token)


async def _claim(
    store: KeptStore, key: str, token: str, look: Callable[[], Awaitable[T | None]], clock: Clock, waits: bool
) -> Claim[T]:
    until = clock.monotonic() + WAIT_SECONDS
    try:
        while True:
            held = await store.lock(key, token, seconds=LOCK_SECONDS)
            # Also with the lock in hand: its last holder may have put it there after we looked the first time.
            found = await look()
            if found is not None:
                if held:
                    await store.unlock(key, token)
                return Claim(found, ours=False)
            left = until - clock.monotonic()
            if held or (waits and left <= 0):
                return Claim(None, ours=True)
            if not waits:
                return Claim(None, ours=False)
            await store.wait(key, seconds=left)
    except RedisAway:
        return Claim(None, ours=True)


async def _renew(store: KeptStore, key: str, token: str, clock: Clock) -> None:
    while True:
        await clock.sleep(_RENEW_SECONDS)
        with contextlib.suppress(RedisAway):
            await store.lock(key, token, seconds=LOCK_SECONDS)
