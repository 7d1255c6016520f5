"""The engine over HTTP: what arrives at the engine, what comes back, who is let in, what is refused."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import orjson
import pytest
import uvicorn
from starlette.requests import Request

from literesearcher.cluster.engine_http import EngineHttp
from literesearcher.engine.port import EngineInfo, Generation, GenerationRequest
from literesearcher.errors import BoundaryError, LiteResearcherError, PromptTooLong
from literesearcher.research.messages import Sampling, Usage

TOKEN = "between-us"


class Pieces:
    """An engine that says three words, or fails; it keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[GenerationRequest] = []
        self.failure: LiteResearcherError | None = None

    async def describe(self) -> EngineInfo:
        return EngineInfo("scripted", "literesearcher-4b", 131_072)

    async def generate(self, request: GenerationRequest, *, timeout_seconds: float, on_delta: Any = None) -> Generation:
        self.asked.append(request)
        for word in ("one ", "two ", "three"):
            if on_delta is not None:
                await on_delta(word)
        if self.failure is not None:
            raise self.failure
        return Generation("one two three", "stop", Usage(11, 3, 7), "literesearcher-4b")

    def count_tokens(self, text: str) -> int | None:
        return None

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.fixture
def engine() -> Pieces:
    return Pieces()


@pytest.fixture
async def base(engine: Pieces) -> AsyncIterator[str]:
    http = EngineHttp(engine, TOKEN)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            response = await http.answer(Request(scope, receive))
            await response(scope, receive, send)

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
        serving = asyncio.create_task(server.serve([bound]))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        await serving


def client(base: str, key: str = TOKEN) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)


QUESTION: list[Any] = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "count"}]


async def test_a_request_arrives_field_by_field_and_is_nobodys_conversation(base: str, engine: Pieces) -> None:
    answer = await client(base).chat.completions.create(
        model="literesearcher-4b",
        messages=QUESTION,
        temperature=0.5,
        top_p=0.9,
        presence_penalty=1.2,
        stop=["</done>"],
        seed=7,
        max_tokens=99,
        extra_body={"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.05},
    )
    assert answer.choices[0].message.content == "one two three"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 3, 14)
    [asked] = engine.asked
    assert asked.sampling == Sampling(0.5, 0.9, 5, 0.1, 1.2, 1.05, ("</done>",), 7)
    assert (asked.program, asked.max_tokens) == ("", 99)
    assert [(one.role, one.content) for one in asked.messages] == [("system", "be brief"), ("user", "count")]


async def test_a_stream_is_the_same_text_in_pieces(base: str) -> None:
    stream = await client(base).chat.completions.create(
        model="literesearcher-4b", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "one two three"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 14


async def test_the_model_is_listed(base: str) -> None:
    assert [model.id async for model in client(base).models.list()] == ["literesearcher-4b"]


@pytest.mark.parametrize("key", ["", "between", "between-us-", "\u00e9"])
async def test_nobody_comes_in_without_the_token(base: str, engine: Pieces, key: str) -> None:
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with session.post(f"{base}/v1/chat/completions", json={"messages": QUESTION}, headers=headers) as answer:
            assert answer.status == 401
    assert engine.asked == []


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        (b"[]", "bad_request", None),
        (b"{", "bad_request", None),
        (b'{"messages": []}', "bad_request", "messages"),
        (b'{"messages": [{"role": "tool", "content": "x"}]}', "bad_request", "messages"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "bad_request", "messages"),
        (b'{"messages": [{"role": "user", "content": "x"}], "tools": []}', "unsupported_field", "tools"),
        (b'{"messages": [{"role": "user", "content": "x"}], "n": 2}', "unsupported_field", "n"),
        (b'{"messages": [{"role": "user", "content": "x"}], "logprobs": true}', "unsupported_field", "logprobs"),
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}', "bad_request", "temperature"),
        (b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 1.5}', "bad_request", "max_tokens"),
        (b'{"messages": [{"role": "user", "content": "x"}], "stop": [1]}', "bad_request", "stop"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_its_name(
    base: str, engine: Pieces, body: bytes, code: str, named: str | None
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{base}/v1/chat/completions", data=body, headers=headers) as answer:
            assert answer.status == 400
            error = orjson.loads(await answer.read())["error"]
    assert (error["code"], error["param"]) == (code, named)
    assert engine.asked == []


async def test_a_page_of_a_browser_cannot_ask_by_a_plain_form(base: str, engine: Pieces) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain"}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{base}/v1/chat/completions", data=b"{}", headers=headers) as answer:
            assert answer.status == 400
    assert engine.asked == []


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (PromptTooLong("too long"), 400, "context_length_exceeded"),
        (BoundaryError("full", code="engine_busy", transient=True), 503, "engine_busy"),
        (BoundaryError("late", code="engine_timeout", transient=True), 504, "engine_timeout"),
        (BoundaryError("broken", code="engine_error"), 500, "engine_error"),
    ],
)
async def test_a_failure_has_its_status_and_in_a_stream_its_event(
    base: str, engine: Pieces, failure: LiteResearcherError, status: int, code: str
) -> None:
    engine.failure = failure
    with pytest.raises(openai.APIStatusError) as caught:
        await client(base).chat.completions.create(model="literesearcher-4b", messages=QUESTION)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    with pytest.raises(openai.APIError) as broken:
        async for _ in await client(base).chat.completions.create(
            model="literesearcher-4b", messages=QUESTION, stream=True
        ):
            pass
    assert broken.value.code == code
