"""Every recorded call through the real tool proxy and the real engine client, against the replay server.

No agent here: the test makes the recorded calls itself, so that what differs is a format of the tools, a wire form of
the engine, or the replay's own inversion.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from literesearcher.engine.openai import OpenAIEngine
from literesearcher.engine.port import GenerationRequest
from literesearcher.research.messages import Message, Sampling
from literesearcher.settings.model import Settings
from literesearcher.settings.provider_sections import JinaSection, SerperSection
from literesearcher.settings.sections import EngineSection, ToolsSection
from literesearcher.testing.replay.inversion import invert
from literesearcher.testing.replay.rollouts import Case, load
from literesearcher.testing.replay.server import ReplayServer
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.extraction import Completion, EngineExtractor
from literesearcher.tools.port import Ask, ToolRequest, Tools


class Completer:
    """The engine as page extraction needs it."""

    def __init__(self, engine: OpenAIEngine) -> None:
        self._engine = engine

    async def complete(self, messages: Any, **rest: Any) -> Completion:
        request = GenerationRequest(rest["program"], messages, rest["sampling"], rest["max_tokens"], purpose="extract")
        got = await self._engine.generate(request, timeout_seconds=rest["timeout_seconds"])
        return Completion(got.text, got.usage)


class PlainPrompt:
    """An extraction prompt of the same contract."""

    digests: dict[str, str] = {}  # noqa: RUF012

    def render_extractor(self, page: str, goal: str) -> str:
        return f"Page:\n{page}\n\nGoal:\n{goal}\n\nAnswer in JSON."


@asynccontextmanager
async def parts(server: ReplayServer, **engine: Any) -> AsyncIterator[tuple[OpenAIEngine, Tools]]:
    """Engine and tools pointed at the server."""
    client = OpenAIEngine(EngineSection(base_url=f"{server.url}/v1", **engine), clock=SystemClock())
    settings = Settings(
        serper=SerperSection(api_key="key", base_url=f"{server.url}/serper"),
        jina=JinaSection(base_url=f"{server.url}/jina", self_hosted=False),
        tools=ToolsSection(search=["serper"], pages=["jina"], cache="off", fidelity="published", hedge=False),
    )
    extractor = EngineExtractor(Completer(client), PlainPrompt(), clock=SystemClock())
    tools = assemble(settings, extractor=extractor, clock=SystemClock())
    try:
        yield client, tools
    finally:
        await tools.aclose()
        await client.aclose()


async def replay(case: Case, engine: OpenAIEngine, tools: Tools, *, streamed: bool) -> None:
    """One case, its own messages and calls; every tool text compared with the recorded one."""

    async def hear(piece: str) -> None:
        heard.append(piece)

    messages = [Message("system", "instructions"), Message("user", case.question)]
    for number, turn in enumerate(case.turns, start=1):
        request = GenerationRequest(case.id, tuple(messages), Sampling(), 1000, turn=number)
        heard: list[str] = []
        got = await engine.generate(request, timeout_seconds=60, on_delta=hear if streamed else None)
        assert got.text == turn.text
        assert "".join(heard) == (turn.text if streamed else "")
        if turn.call is None:
            return
        result = await tools.call(ToolRequest(turn.call.name, turn.call.arguments, Ask(job_id=case.id)))
        read = f"<tool_response>\n{result.text}\n</tool_response>"
        assert read == turn.response, f"{case.id}, turn {number}"
        messages += [Message("assistant", got.text), Message("user", read)]


def faithful(report: dict[str, Any]) -> None:
    """Nothing in the report that should not be there, and every case came to its answer."""
    assert report["unexpected"] == []
    for case in report["cases"].values():
        assert case["mismatches"] == []
        assert case["not_asked"] == []
        assert case["reordered"] == 0
        assert case["answers"] == 1


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_every_tool_text_comes_back_to_the_byte(rollouts: Path, streamed: bool, endpoint: str) -> None:
    cases = load(rollouts)
    # Without an opened thought a completion begins with `<think>` as a chat answer does.
    async with ReplayServer(cases) as server, parts(server, endpoint=endpoint, opens_thought=False) as (engine, tools):
        for case in cases:
            await replay(case, engine, tools, streamed=streamed)
        faithful(server.book.report())


def test_every_recording_is_of_the_published_form(rollouts: Path) -> None:
    """The inversion gives back the very bytes it was made from, or raises."""
    calls = [(turn.call, turn.response) for case in load(rollouts) for turn in case.turns if turn.call]
    assert calls
    for call, response in calls:
        assert len(invert(call, response or "")) == len(call.targets)
