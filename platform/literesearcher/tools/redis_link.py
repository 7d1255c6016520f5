"""The tools' way to Redis: short time limits, and no call that waits on a server that is known to be away.

Owns: the connection, the limit of one operation, the pause after a failure. Refuses to know: what is stored. Above: the
shared cache, the shared limits. Redis may be flushed or killed at any moment: whoever calls goes on without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
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


class RedisAway(Exception):
    """The operation could not be done in time; a signal between the tools' own modules, never raised beyond them."""


class RedisLink:
    """One pooled connection a process; opened at the first operation."""

    def __init__(
        self, url: SecretStr, *, clock: Clock, metrics: ToolMetrics, timeout_seconds: float, connections: int = 128
    ) -> None:
        self._url = url
        self._clock = clock
        self._metrics = metrics
        self._timeout = timeout_seconds
        self._connections = connections
        self._client: Redis | None = None
        self._away_until = 0.0

    async def run(self, operation: str, call: Callable[[Redis], Awaitable[T]]) -> T:
        """The result of `call`, or `RedisAway`. `operation` is the metric's label: a fixed word, such as `get`.

        An error that the server itself answers (memory is full, a key holds something else) costs this operation and
        no pause: the next one may well succeed.
        """
        if self._clock.monotonic() < self._away_until:
            self._metrics.cache_errors.labels("paused").inc()
            raise RedisAway
        from redis.exceptions import RedisError, ResponseError

        try:
            async with asyncio.timeout(self._timeout):
                return await call(self._open())
        except ResponseError:
            self._metrics.cache_errors.labels(operation).inc()
        except (RedisError, OSError, TimeoutError):
            self._metrics.cache_errors.labels(operation).inc()
            self._away_until = self._clock.monotonic() + PAUSE_SECONDS
        # Raised out here so that nothing holds the client's own error, which may name the URL.
        raise RedisAway

    def _open(self) -> Redis:
        if self._client is None:
            try:
                from redis.asyncio import BlockingConnectionPool, Redis
                from redis.asyncio.retry import Retry
                from redis.backoff import NoBackoff
            except ImportError:
                raise ConfigurationError(
                    "a shared cache needs the redis extra: pip install 'literesearcher[redis]'"
                ) from None
            options: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "socket_connect_timeout": self._timeout}
            pool = BlockingConnectionPool.from_url(
                self._url.get_secret_value(), max_connections=self._connections, timeout=self._timeout, **options
            )
            self._client = Redis(connection_pool=pool)
        return self._client

    async def aclose(self) -> None:
        """Close the connections. Safe to call twice."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose(close_connection_pool=True)
