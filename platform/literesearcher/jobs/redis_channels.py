"""One subscription connection of a process to Redis: channels, who hears them, and coming back after a failure.

Owns: subscribing, handing messages on, reconnecting. While Redis is away it is silent; when it is back, everyone is
told that something may have been missed. Refuses to know: what messages mean (`jobs.live_redis`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
"""Between tries to come back."""
SUBSCRIBE_SECONDS = 0.5
"""How long a new listener waits for the confirmation; then it goes on and polls."""
QUIET_SECONDS = 5.0
"""Without a message for so long, the server is asked whether it is there."""


@dataclass(frozen=True)
class Ear:
    """Who hears a channel. `missed` is called after a time in which messages may have been lost."""

    heard: Callable[[bytes], None]
    missed: Callable[[], None]


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raises CancelledError after a call that was cancelled and returned or failed all the same: redis-py waits by
    `asyncio.wait_for`, which on Python 3.11 loses a cancellation that comes together with the answer."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


class Channels:
    """Made in any context; connects when the first ear opens."""

    def __init__(self, redis: Redis, shown: str, home: str) -> None:
        self._redis = redis
        self._shown = shown
        self._home = home
        self._ears: dict[str, set[Ear]] = {}
        self._confirmed: dict[str, asyncio.Event] = {}
        self._pubsub: PubSub | None = None
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def open(self, channel: str, ear: Ear) -> AsyncIterator[None]:
        """Subscribed while inside, if Redis is there; if not, as soon as it is."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="redis-channels")
        first = channel not in self._ears
        self._ears.setdefault(channel, set()).add(ear)
        confirmed = self._confirmed.setdefault(channel, asyncio.Event())
        try:
            if first:
                await self._tell("subscribe", channel)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SUBSCRIBE_SECONDS):
                    await confirmed.wait()
            yield
        finally:
            self._ears[channel].discard(ear)
            if not self._ears[channel]:
                del self._ears[channel], self._confirmed[channel]
                await self._tell("unsubscribe", channel)

    async def aclose(self) -> None:
        """Stop listening. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            # Our own task, ended by us.
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _tell(self, verb: str, channel: str) -> None:
        """A failure here is the listening task's too, which then starts over with every channel."""
        pubsub = self._pubsub
        if pubsub is None:
            return
        with contextlib.suppress(RedisError, OSError, TimeoutError), cancellation_kept():
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await getattr(pubsub, verb)(channel)

    async def _listen(self) -> None:
        told = False
        while True:
            pubsub = self._redis.pubsub()
            try:
                # A channel of our own keeps the connection in subscription mode when all others have gone.
                await pubsub.subscribe(self._home)
                self._pubsub = pubsub
                # From here on a new ear subscribes itself.
                if self._ears:
                    await pubsub.subscribe(*self._ears)
                if told:
                    log.warning("Redis %s is back: live text and wake-ups work again", self._shown)
                    told = False
                    self._all_missed()
                await self._hand_on(pubsub)
            except (RedisError, OSError, TimeoutError) as error:
                if not told:
                    log.warning("Redis %s is away (%s): no live text, polling", self._shown, type(error).__name__)
                    told = True
            finally:
                self._pubsub = None
                for confirmed in self._confirmed.values():
                    confirmed.clear()
                with contextlib.suppress(RedisError, OSError, TimeoutError):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(PAUSE_SECONDS)

    async def _hand_on(self, pubsub: PubSub) -> None:
        asked = False
        while True:
            message: dict[str, Any] | None = await pubsub.get_message(timeout=QUIET_SECONDS)
            if message is None:
                if asked:
                    raise TimeoutError
                asked = True
                await pubsub.ping()
                continue
            asked = False
            channel = message["channel"].decode() if isinstance(message["channel"], bytes) else ""
            if message["type"] == "subscribe" and channel in self._confirmed:
                self._confirmed[channel].set()
            elif message["type"] == "message":
                for ear in tuple(self._ears.get(channel, ())):
                    ear.heard(message["data"])

    def _all_missed(self) -> None:
        for ears in tuple(self._ears.values()):
            for ear in tuple(ears):
                ear.missed()
