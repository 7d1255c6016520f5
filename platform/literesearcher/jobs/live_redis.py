"""Live text and bells between processes, over Redis 6.2 or newer. `jobs.live` says what they promise.

Owns: a stream a job (the running turn's text, for late joiners; bounded and expiring), a channel a job (its deltas) and
a channel a topic (bells). What goes out is gathered and sent by one task, so that no caller waits for Redis. Never
raises while Redis is down or slow: it falls silent and comes back. Neighbour: `jobs.redis_channels` listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from literesearcher.errors import ConfigurationError
from literesearcher.jobs.live import Bell, Delta, LocalBell
from literesearcher.jobs.redis_channels import Channels, Ear, cancellation_kept
from literesearcher.jobs.redis_text import Outgoing, RemoteFollower, encoded

T = TypeVar("T")

PREFIX = "literesearcher"
ANSWER_SECONDS = 1.0
"""A command that takes longer is given up, and for as long again none is tried."""
GATHER_SECONDS = 0.02
"""Deltas and rings that come within this time go out together."""
MAX_WAITING = 10_000
"""Deltas that wait for a silent Redis; beyond it they are dropped."""
STREAM_ENTRIES = 20_000
TEXT_SECONDS = 900
"""A text nobody adds to for so long is forgotten."""
FINISHED_ENTRIES = 100
"""What stays of a finished turn."""
LISTENING_SECONDS = 6
RENEW_SECONDS = 2.0


class RedisLive:
    """`Live` between processes. The URL is never logged with its password."""

    def __init__(self, url: str) -> None:
        try:
            self._redis = _client(url, connections=8)
            listening = _client(url, connections=1)
        except (ValueError, RedisError):
            # The error's text may hold the URL.
            raise ConfigurationError(
                "the Redis URL cannot be read; write redis://:PASSWORD@HOST:6379/0", code="redis_url_invalid"
            ) from None
        options = self._redis.connection_pool.connection_kwargs
        self._id = uuid.uuid4().hex
        shown = f"{options.get('host', options.get('path', 'localhost'))}:{options.get('port', 6379)}"
        self._channels = Channels(listening, shown, f"{PREFIX}:home:{self._id}")
        self._listening = listening
        self._bells: dict[str, set[LocalBell]] = {}
        self._followed: dict[str, int] = {}
        self._outgoing: dict[str, list[Outgoing]] = {}
        self._rings: set[str] = set()
        self._something = asyncio.Event()
        self._silent_until = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    async def publish(self, delta: Delta) -> None:
        """Goes out within GATHER_SECONDS; does not wait for it."""
        self._send(delta.job_id, delta)

    async def finish(self, job_id: str, turn: int) -> None:
        """Goes out after the deltas before it."""
        self._send(job_id, turn)

    async def listening(self, job_id: str) -> bool:
        """Does anyone follow, in any process? False while Redis is silent."""
        if job_id in self._followed:
            return True
        return bool(await self._answer(lambda: self._redis.exists(_heard(job_id)), 0))

    @asynccontextmanager
    async def follow(self, job_id: str) -> AsyncIterator[AsyncIterator[Delta]]:
        """Subscribed first, then the text so far is read: nothing falls between, and what comes twice is cut."""
        self._start()
        follower = RemoteFollower(job_id)
        reading: set[asyncio.Task[None]] = set()

        async def catch_up() -> None:
            nothing: list[Any] = []
            entries = await self._answer(lambda: self._redis.xrange(_stream(job_id)), nothing)
            follower.catch_up([fields[b"d"] for _, fields in entries])

        def missed() -> None:
            follower.hold()
            task = asyncio.create_task(catch_up())
            reading.add(task)
            task.add_done_callback(reading.discard)

        self._followed[job_id] = self._followed.get(job_id, 0) + 1
        try:
            async with self._channels.open(_text_channel(job_id), Ear(follower.heard, missed)):
                await self._renew([job_id])
                await catch_up()
                yield follower.deltas()
        finally:
            self._followed[job_id] -= 1
            if not self._followed[job_id]:
                del self._followed[job_id]
            for task in reading:
                task.cancel()

    async def ring(self, topic: str) -> None:
        """At once within this process, within GATHER_SECONDS in others."""
        for bell in self._bells.get(topic, ()):
            bell.ring()
        self._rings.add(topic)
        self._start()
        self._something.set()

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[Bell]:
        """A bell that also rings when Redis was away, since a ring may have been lost."""
        bell = LocalBell()

        def heard(sender: bytes) -> None:
            if sender.decode() != self._id:
                bell.ring()

        bells = self._bells.setdefault(topic, set())
        bells.add(bell)
        try:
            async with self._channels.open(_bell_channel(topic), Ear(heard, bell.ring)):
                yield bell
        finally:
            bells.discard(bell)
            if not bells and self._bells.get(topic) is bells:
                del self._bells[topic]

    async def aclose(self) -> None:
        """Send what waits, then let go."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        # Our own tasks, ended by us.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._send_waiting()
        await self._channels.aclose()
        for client in (self._redis, self._listening):
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await client.aclose()

    def _send(self, job_id: str, item: Outgoing) -> None:
        waiting = self._outgoing.setdefault(job_id, [])
        if len(waiting) < MAX_WAITING:
            waiting.append(item)
        self._start()
        self._something.set()

    def _start(self) -> None:
        if not self._tasks and not self._closed:
            self._tasks = [asyncio.create_task(self._keep_sending()), asyncio.create_task(self._keep_renewing())]

    async def _keep_sending(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            await self._send_waiting()
            await asyncio.sleep(GATHER_SECONDS)

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            await self._renew(list(self._followed))

    async def _send_waiting(self) -> None:
        outgoing, self._outgoing = self._outgoing, {}
        rings, self._rings = self._rings, set()
        if not outgoing and not rings:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for topic in rings:
            pipeline.publish(_bell_channel(topic), self._id)
        for job_id, items in outgoing.items():
            stream, finished = _stream(job_id), isinstance(items[-1], int)
            try:
                data = encoded(items)
            except TypeError:
                # Half a surrogate pair slipped through a border: this job's piece is lost, the task is not.
                continue
            pipeline.xadd(stream, {"d": data}, maxlen=STREAM_ENTRIES, approximate=True)
            if finished:
                pipeline.xtrim(stream, maxlen=FINISHED_ENTRIES, approximate=False)
            pipeline.expire(stream, TEXT_SECONDS)
            pipeline.publish(_text_channel(job_id), data)
        await self._answer(lambda: pipeline.execute(raise_on_error=False), None)

    async def _renew(self, job_ids: list[str]) -> None:
        if job_ids:
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in job_ids:
                pipeline.set(_heard(job_id), b"1", ex=LISTENING_SECONDS)
            await self._answer(pipeline.execute, None)

    async def _answer(self, ask: Callable[[], Awaitable[Any]], silence: T) -> T | Any:
        """What Redis says, or `silence` where it says nothing in time or did not a moment ago."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._silent_until:
            return silence
        try:
            with cancellation_kept():
                async with asyncio.timeout(ANSWER_SECONDS):
                    answer = await ask()
            return answer
        except (RedisError, OSError, TimeoutError):
            self._silent_until = loop.time() + ANSWER_SECONDS
            return silence


def _client(url: str, *, connections: int) -> Redis:
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=ANSWER_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return Redis(connection_pool=pool)


def _stream(job_id: str) -> str:
    return f"{PREFIX}:text:{job_id}"


def _heard(job_id: str) -> str:
    return f"{PREFIX}:heard:{job_id}"


def _text_channel(job_id: str) -> str:
    return f"{PREFIX}:deltas:{job_id}"


def _bell_channel(topic: str) -> str:
    return f"{PREFIX}:bell:{topic}"
