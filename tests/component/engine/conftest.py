"""An engine client over real HTTP against a local server that acts out a script."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from literesearcher.engine.openai import OpenAIEngine
from literesearcher.settings.sections import EngineSection
from literesearcher.testing.model_server import ModelServer, Script
from literesearcher.timing.clock import SystemClock


class Bench:
    """Makes servers and engines, and closes them."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def server(self, *acts: Script, **options: Any) -> ModelServer:
        return await self._stack.enter_async_context(ModelServer(acts, **options))

    def engine(self, server: ModelServer | str, **section: Any) -> OpenAIEngine:
        base_url = server if isinstance(server, str) else server.base_url
        engine = OpenAIEngine(EngineSection(base_url=base_url, **section), clock=SystemClock())
        self._stack.push_async_callback(engine.aclose)
        return engine


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(stack)


@pytest.fixture
def hear() -> Callable[[], tuple[list[str], Callable[[str], Any]]]:
    """A list and a sink that fills it."""

    def make() -> tuple[list[str], Callable[[str], Any]]:
        heard: list[str] = []

        async def sink(piece: str) -> None:
            heard.append(piece)

        return heard, sink

    return make
