"""Every live channel keeps the contract: within a process, and between processes over a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from literesearcher.jobs.live import Live, LocalLive
from literesearcher.jobs.live_redis import RedisLive
from literesearcher.testing.contracts.live import LiveContract


class TestLocalLive(LiveContract):
    @pytest.fixture
    async def live(self) -> Live:
        return LocalLive()

    @pytest.fixture
    async def second(self, live: Live) -> Live:
        return live


class TestRedisLive(LiveContract):
    @pytest.fixture
    async def live(self, redis_url: str) -> AsyncIterator[Live]:
        live = RedisLive(redis_url)
        yield live
        await live.aclose()

    @pytest.fixture
    async def second(self, redis_url: str) -> AsyncIterator[Live]:
        second = RedisLive(redis_url)
        yield second
        await second.aclose()


class TestRedisLiveWithinOneProcess(LiveContract):
    @pytest.fixture
    async def live(self, redis_url: str) -> AsyncIterator[Live]:
        live = RedisLive(redis_url)
        yield live
        await live.aclose()

    @pytest.fixture
    async def second(self, live: Live) -> Live:
        return live
