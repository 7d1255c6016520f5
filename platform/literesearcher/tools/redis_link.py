"""The tools' way to Redis: short time limits, and no call that waits on a server that is known to be away.

Owns: the connections, the limit of one operation, the pause after a failure or an answer that makes no sense. Refuses
to know: what is stored. Above: the shared cache, the shared limits. Redis may be flushed or killed at any moment:
whoever calls goes on without it.
A burst of calls queues for few connections, and a loop that is late with its own work is not taken for a slow server:
either would send hundreds of calls to paid providers that the cache could have answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from literesearcher.errors import ConfigurationError
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

PAUSE_SECONDS = 1.0
"""After a failure nobody asks for so long: a server that is away must not cost every call its time limit."""
CONNECTIONS = 32
_LATE_SECONDS = 0.01
_MOST_RESTARTS = 8
"""A limit that comes up late by more than 10 ms finds a loop with a backlog, in which an answer may be waiting to be
read: it starts again, so often at most."""


class RedisAway(Exception):
    """The operation could not be done in time; a signal between the tools' own modules, never raised beyond them."""


class Garbled(Exception):
    """What the server answered is not what was asked for. Raised by the `call` of `RedisLink.run`, never beyond it."""


_UNREADABLE = (ValueError, TypeError, LookupError, AssertionError, AttributeError, RecursionError)
"""What the client's parser raises for bytes that are no answer of Redis: no number where one must be, maps with lists
for keys, lists a thousand deep."""


class RedisLink:
    """One pool a process; opened at the first operation."""

    def __init__(
        self,
        url: SecretStr,
        *,
        clock: Clock,
        metrics: ToolMetrics,
        timeout_seconds: float,
        connections: int = CONNECTIONS,
    ) -> None:
        self._url = url
        self._clock = clock
        self._metrics = metrics
        self._timeout = timeout_seconds
        self._connections = connections
        self._turns = asyncio.Semaphore(connections)
        self._client: Redis | None = None
        self._away_until = 0.0

    async def run(self, operation: str, call: Callable[[Redis], Awaitable[T]]) -> T:
        """The result of `call`, or `RedisAway`. `operation` is the metric's label: a fixed word, such as `get`.

        An error that the server itself answers (memory is full, a key holds something else) costs this operation and
        no pause: the next one may well succeed. An answer that cannot be read, or that `call` finds to be `Garbled`,
        comes from something that is no Redis: it is left alone for a while, as one that is away.
        """
        self._check()
        from redis.exceptions import RedisError, ResponseError

        async with self._turns:
            self._check()  # whoever was ahead in the queue may have found the server away
            try:
                async with _limit(self._timeout):
                    return await call(self._open())
            except ResponseError:
                self._metrics.cache_errors.labels(operation).inc()
            except (RedisError, OSError, TimeoutError, Garbled, *_UNREADABLE):
                self._metrics.cache_errors.labels(operation).inc()
                self._away_until = self._clock.monotonic() + PAUSE_SECONDS
        # Raised out here so that nothing holds the client's own error, which may name the URL.
        raise RedisAway

    def _check(self) -> None:
        if self._clock.monotonic() < self._away_until:
            self._metrics.cache_errors.labels("paused").inc()
            raise RedisAway

    def _open(self) -> Redis:
        if self._client is None:
            try:
                from redis.asyncio import ConnectionPool, Redis
                from redis.asyncio.retry import Retry
                from redis.backoff import NoBackoff
            except ImportError:
                raise ConfigurationError(
                    "a shared cache needs the redis extra: pip install 'literesearcher[redis]'"
                ) from None
            # No time limits of the client's own beside the one here; the pool is as large as there are turns.
            options: dict[str, Any] = {
                "retry": Retry(NoBackoff(), 0),
                "socket_connect_timeout": None,
                "socket_timeout": None,
                "max_connections": self._connections,
            }
            self._client = Redis(connection_pool=ConnectionPool.from_url(self._url.get_secret_value(), **options))
        return self._client

    async def aclose(self) -> None:
        """Close the connections. Safe to call twice."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose(close_connection_pool=True)


@asynccontextmanager
async def _limit(seconds: float) -> AsyncIterator[None]:
    """`TimeoutError` after so long, not counting how late the loop itself is."""
    loop = asyncio.get_running_loop()
    restarts = _MOST_RESTARTS
    handle: asyncio.TimerHandle

    def up(due: float) -> None:
        nonlocal restarts, handle
        if loop.time() - due > _LATE_SECONDS and restarts:
            restarts -= 1
            again = loop.time() + seconds
            handle = loop.call_at(again, up, again)
        else:
            limit.reschedule(loop.time())

    due = loop.time() + seconds
    handle = loop.call_at(due, up, due)
    try:
        async with asyncio.timeout(None) as limit:
            yield
    finally:
        handle.cancel()
