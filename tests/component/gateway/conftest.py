"""Gateways that start with a test and end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from literesearcher.gateway.stream import StreamPace
from literesearcher.jobs.live import LocalLive
from literesearcher.settings.sections import GatewaySection
from literesearcher.testing.memory_store import MemoryStore
from literesearcher.testing.served_gateway import FAST, Served, extractive, running
from literesearcher.timing.clock import SystemClock

Start = Callable[..., Awaitable[Served]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts gateways that end with the test."""
    entered: list[Any] = []

    async def begin(
        *,
        store: Any = None,
        live: Any = None,
        pace: StreamPace = FAST,
        engine_info: Any = extractive,
        budgets: Any = None,
        engine: Any = None,
        admission: Any = None,
        raw_model: Any = None,
        **gateway: Any,
    ) -> Served:
        context = running(
            store or MemoryStore(SystemClock()),
            live or LocalLive(),
            GatewaySection(**gateway),
            pace,
            engine_info,
            budgets=budgets,
            admission=admission,
            engine=engine,
            raw_model=raw_model,
        )
        served = await context.__aenter__()
        entered.append(context)
        return served

    yield begin
    for context in reversed(entered):
        await context.__aexit__(None, None, None)


@pytest.fixture
async def served(start: Start) -> Served:
    """A keyless gateway on loopback."""
    return await start()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served_once() -> AsyncIterator[Served]:
    """A keyless gateway on loopback for all tests of a module that leave nothing behind in it."""
    async with running(MemoryStore(SystemClock()), LocalLive(), GatewaySection(), FAST, extractive) as served:
        yield served
