"""Every engine keeps the engine port's contract: the scripted twin, and the OpenAI client over real HTTP."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from literesearcher.engine.openai import OpenAIEngine
from literesearcher.engine.port import DeltaSink, Engine, Generation, GenerationRequest
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Usage
from literesearcher.settings.sections import EngineSection
from literesearcher.testing.byte_tokenizer import write_byte_tokenizer
from literesearcher.testing.contracts.engine import TRANSIENT, Act, EngineContract, Fail, Say
from literesearcher.testing.model_server import ModelServer
from literesearcher.testing.scripted_engine import ScriptedEngine, Step
from literesearcher.testing.timed_engine import TOKEN, TimedEngine
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


class TimedActs(TimedEngine):
    """The timed engine, acting out one act a call."""

    def __init__(self, acts: tuple[Act, ...]) -> None:
        self.acts = deque(acts)
        super().__init__(script=self.act)

    async def act(self, request: GenerationRequest) -> str:
        act = self.acts.popleft()
        if isinstance(act, Say):
            return act.text
        said = step(act)
        if isinstance(said, BoundaryError):
            raise said
        await asyncio.Event().wait()
        raise AssertionError

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        act = self.acts[0]
        if isinstance(act, Say) and act.finish_reason == "length":
            request = replace(request, max_tokens=len(act.text) // TOKEN)
            self.acts[0] = replace(act, text=act.text + " more")
        return await super().generate(request, timeout_seconds=timeout_seconds, on_delta=on_delta)


class TestTimedEngine(EngineContract):
    """The runtime with made-up timing."""

    async def prepare(self, *acts: Act) -> Engine:
        return TimedActs(acts)


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


class TestOpenAITokensOverGenerate(OpenAIContract):
    """SGLang's own route, where the server offers it."""

    @pytest.fixture(autouse=True)
    def _tokenizer(self, tmp_path: Path) -> None:
        self.tokenizer_file = write_byte_tokenizer(tmp_path / "tokenizer.json")

    async def prepare(self, *acts: Act) -> Engine:
        native = Tokenizer.from_file(self.tokenizer_file)
        server = await self.stack.enter_async_context(ModelServer(acts, native=native))
        section = EngineSection(
            base_url=server.base_url, endpoint="tokens", stream=self.stream, tokenizer_file=self.tokenizer_file
        )
        engine = OpenAIEngine(section, clock=SystemClock())
        self.stack.push_async_callback(engine.aclose)
        return engine


class TestOpenAITokensOverGenerateAlwaysStreamed(TestOpenAITokensOverGenerate):
    stream = "always"
