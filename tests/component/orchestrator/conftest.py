"""A bench over the in-memory store on a clock that stands still, and words for what a model says."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from literesearcher.jobs.live import LocalLive
from literesearcher.settings.sections import EngineSection, OrchestratorSection, ResearchSection
from literesearcher.testing.bench import Bench
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.testing.memory_store import MemoryStore
from literesearcher.testing.scripted_engine import ScriptedEngine
from literesearcher.tools.port import ToolRequest, ToolResult


class Library:
    """Tools that answer each call with its own arguments, unless told otherwise by `on_call`."""

    def __init__(self) -> None:
        self.calls: list[ToolRequest] = []
        self.price_list: dict[str, float] = {}
        self.on_call: Callable[[ToolRequest], Awaitable[ToolResult]] | None = None

    async def call(self, request: ToolRequest) -> ToolResult:
        self.calls.append(request)
        if self.on_call is not None:
            return await self.on_call(request)
        return ToolResult(f"found {json.dumps(request.arguments)}")

    async def prices(self) -> dict[str, float]:
        return dict(self.price_list)

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.fixture
def say() -> SimpleNamespace:
    def search(*queries: str) -> str:
        call = json.dumps({"name": "search", "arguments": {"query": list(queries)}})
        return f"<think>\nlook\n</think>\n<tool_call>\n{call}\n</tool_call>"

    def answer(text: str) -> str:
        return f"<think>\nknown\n</think>\n<answer>{text}</answer>"

    return SimpleNamespace(search=search, answer=answer)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def bench(clock: ManualClock, library: Library) -> Callable[..., Bench]:
    def make(
        engine: ScriptedEngine,
        *,
        tries: int = 4,
        stream: str = "auto",
        budgets: Any = None,
        repeats: Any = "fetch",
        **research: Any,
    ) -> Bench:
        return Bench(
            store=MemoryStore(clock),
            live=LocalLive(),
            clock=clock,
            engine=engine,
            tools=library,
            orchestrator=OrchestratorSection(lease_seconds=30, poll_seconds=0.02, grace_seconds=30),
            research=ResearchSection(**research),
            engine_section=EngineSection(tries=tries, stream=stream),
            budgets=budgets,
            repeats=repeats,
        )

    return make
