"""Somebody's own agent over the raw model: recorded rollouts by OpenAI's client through the gateway, turn by turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest

from literesearcher.engine.port import EngineInfo
from literesearcher.jobs.live import LocalLive
from literesearcher.settings.sections import EngineSection, GatewaySection
from literesearcher.testing.memory_store import MemoryStore
from literesearcher.testing.replay.rollouts import Case, load
from literesearcher.testing.replay.served import MODEL
from literesearcher.testing.replay.server import ReplayServer
from literesearcher.testing.served_gateway import FAST, running
from literesearcher.timing.clock import SystemClock


async def info() -> EngineInfo:
    return EngineInfo(kind="openai", model=MODEL, context_length=131_072)


async def drive(client: openai.AsyncOpenAI, case: Case, *, stream: bool) -> list[str]:
    """What the model said, turn by turn; the tools are the recorded ones."""
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": case.question}]
    said: list[str] = []
    for turn in case.turns:
        options: dict[str, Any] = {"temperature": 0.6, "presence_penalty": 1.1, "extra_body": {"top_k": 20}}
        answer: Any = await client.chat.completions.create(model=MODEL, messages=messages, stream=stream, **options)
        if stream:
            pieces = [chunk.choices[0].delta.content or "" async for chunk in answer if chunk.choices]
            text = "".join(pieces)
        else:
            text = answer.choices[0].message.content
        said.append(text)
        if turn.response is not None:
            messages += [{"role": "assistant", "content": text}, {"role": "user", "content": turn.response}]
    return said


@pytest.mark.parametrize("stream", [False, True])
async def test_every_turn_is_the_recorded_one(rollouts: Path, stream: bool) -> None:
    cases = load(rollouts)
    store = MemoryStore(SystemClock())
    _, key = await store.create_key("own-agent", "")
    async with ReplayServer(cases) as server:
        engine = EngineSection(base_url=f"{server.url}/v1")
        async with running(store, LocalLive(), GatewaySection(), FAST, info, engine=engine) as served:
            async with openai.AsyncOpenAI(base_url=f"{served.base}/v1", api_key=key, max_retries=0) as client:
                for case in cases:
                    assert await drive(client, case, stream=stream) == [turn.text for turn in case.turns]
        report = server.book.report()
    assert report["unexpected"] == []
    assert all(case["mismatches"] == [] for case in report["cases"].values())
