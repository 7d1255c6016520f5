"""Kept bytes in Redis 6.2 or newer, for all processes together.

Owns: names of keys, the two scripts of the lock. Refuses to know: what the bytes mean, time limits and pauses
(`tools.redis_link`). Implements `cache.port.KeptStore`; every failure leaves as `RedisAway`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from literesearcher.timing.clock import Clock
from literesearcher.tools.redis_link import RedisLink

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX = "literesearcher:kept:"
_LOCK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
"""
_UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_FIRST_LOOK_SECONDS = 0.02
_LAST_LOOK_SECONDS = 0.25
"""A waiter looks after 20 ms, then at growing pauses: the shortest fetches take that long, the longest seconds."""


class RedisKept:
    """The link is its owner's to close: limits share it."""

    def __init__(self, link: RedisLink, *, clock: Clock) -> None:
        self._link = link
        self._clock = clock

    async def get(self, key: str) -> bytes | None:
        """The value while it lives, else None. A key that holds no string was put there by another: None."""

        async def get(redis: Redis) -> Any:
            return await redis.get(PREFIX + key)

        value = await self._link.run("get", get)
        return value if isinstance(value, bytes) else None

    async def put(self, key: str, value: bytes, *, seconds: float) -> None:
        """Keep for so long."""

        async def put(redis: Redis) -> None:
            await redis.set(PREFIX + key, value, px=_milliseconds(seconds))

        await self._link.run("put", put)

    async def lock(self, key: str, token: str, *, seconds: float) -> bool:
        """True where `token` holds the lock from here on."""

        async def lock(redis: Redis) -> Any:
            return await _evaluated(redis, _LOCK, _lock_name(key), token, str(_milliseconds(seconds)))

        return bool(await self._link.run("lock", lock) == 1)

    async def unlock(self, key: str, token: str) -> None:
        """Free the lock if `token` holds it."""

        async def unlock(redis: Redis) -> None:
            await _evaluated(redis, _UNLOCK, _lock_name(key), token)

        await self._link.run("unlock", unlock)

    async def wait(self, key: str, *, seconds: float) -> None:
        """Until the lock is free, or so long at most."""

        async def held(redis: Redis) -> Any:
            return await redis.exists(_lock_name(key))

        end = self._clock.monotonic() + seconds
        pause = _FIRST_LOOK_SECONDS
        while await self._link.run("wait", held):
            left = end - self._clock.monotonic()
            if left <= 0:
                return
            await self._clock.sleep(min(pause, left))
            pause = min(_LAST_LOOK_SECONDS, pause * 1.5)

    async def aclose(self) -> None:
        """Nothing here is its own."""


async def _evaluated(redis: Redis, script: str, *keys_and_arguments: str) -> Any:
    """Sent whole each time: a script that Redis was asked to remember is gone after a restart."""
    answer: Any = redis.eval(script, 1, *keys_and_arguments)
    return await answer


def _lock_name(key: str) -> str:
    return f"{PREFIX}{key}:lock"


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
