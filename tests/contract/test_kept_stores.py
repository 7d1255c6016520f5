"""Every store of kept results keeps the contract: the twin in one process, and a real Redis between two ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.contracts.kept_store import KeptStoreContract, PassTime
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.cache.memory import MemoryKept
from literesearcher.tools.cache.port import KeptStore
from literesearcher.tools.cache.shared import RedisKept
from literesearcher.tools.redis_link import RedisLink


class TestMemoryKept(KeptStoreContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def store(self, clock: ManualClock) -> KeptStore:
        return MemoryKept(clock=clock)

    @pytest.fixture
    async def second(self, store: KeptStore) -> KeptStore:
        return store

    @pytest.fixture
    async def pass_time(self, clock: ManualClock) -> PassTime:
        return clock.advance


def end(url: str) -> tuple[RedisLink, RedisKept]:
    clock = SystemClock()
    link = RedisLink(SecretStr(url), clock=clock, metrics=ToolMetrics(), timeout_seconds=10.0)
    return link, RedisKept(link, clock=clock)


class TestRedisKept(KeptStoreContract):
    @pytest.fixture
    async def store(self, redis_url: str) -> AsyncIterator[KeptStore]:
        link, store = end(redis_url)
        yield store
        await link.aclose()

    @pytest.fixture
    async def second(self, redis_url: str) -> AsyncIterator[KeptStore]:
        link, store = end(redis_url)
        yield store
        await link.aclose()

    @pytest.fixture
    async def pass_time(self) -> PassTime:
        return asyncio.sleep
