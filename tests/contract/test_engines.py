"""Every engine keeps the engine port's contract: the scripted twin, and the OpenAI client over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from literesearcher.engine.openai import OpenAIEngine
from literesearcher.engine.port import Engine, Generation
from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Usage
from literesearcher.settings.sections import EngineSection
from literesearcher.testing.contracts.engine import TRANSIENT, Act, EngineContract, Fail, Say
from literesearcher.testing.model_server import ModelServer
from literesearcher.testing.scripted_engine import ScriptedEngine, Step
from literesearcher.timing.clock import SystemClock


def step(act: Act) -> Step:
    """The scripted engine's form of an act."""
    if isinstance(act, Say):
        return Generation(act.text, act.finish_reason, Usage(20, len(act.text) // 4 + 1), "scripted-model")
    if isinstance(act, Fail):
        if act.code == "prompt_too_long":
            return PromptTooLong("too long")
        return BoundaryError("failed", code=act.code, transient=TRANSIENT[act.code], retry_after=act.retry_after)

    async def hang(_: object) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    return hang


class TestScriptedEngine(EngineContract):
    """The in-memory twin."""

    async def prepare(self, *acts: Act) -> Engine:
        return ScriptedEngine([step(act) for act in acts])


class OpenAIContract(EngineContract):
    """The HTTP client against a local server."""

    endpoint = "chat"
    stream = "auto"

    @pytest.fixture(autouse=True)
    async def _closing(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as self.stack:
            yield

    async def prepare(self, *acts: Act) -> Engine:
        server = await self.stack.enter_async_context(ModelServer(acts))
        section = EngineSection(base_url=server.base_url, endpoint=self.endpoint, stream=self.stream)
        engine = OpenAIEngine(section, clock=SystemClock())
        self.stack.push_async_callback(engine.aclose)
        return engine


class TestOpenAIChat(OpenAIContract):
    pass


class TestOpenAIChatAlwaysStreamed(OpenAIContract):
    stream = "always"


class TestOpenAICompletions(OpenAIContract):
    endpoint = "completions"


class TestOpenAICompletionsAlwaysStreamed(OpenAIContract):
    endpoint = "completions"
    stream = "always"
