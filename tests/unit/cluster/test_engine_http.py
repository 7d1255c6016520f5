"""An engine replica over HTTP: who is let in, which routes there are, what is refused before an engine is asked.

What requests mean is tested where the gateway answers them itself.
"""

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
from literesearcher.gateway.raw_model.engine_model import EngineModel
from literesearcher.gateway.upstream import Upstream
from literesearcher.research.messages import Usage
from literesearcher.settings.sections import EngineSection
from literesearcher.timing.clock import SystemClock

TOKEN = "between-us"
MODEL = "literesearcher-4b"
PATIENCE = 60.0
QUESTION: list[Any] = [{"role": "user", "content": "count"}]


class Pieces:
    """An engine that says three words, fails, or hangs; it keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[GenerationRequest] = []
        self.failure: LiteResearcherError | None = None
        self.hangs = False
        self.ended = asyncio.Event()

    async def describe(self) -> EngineInfo:
        return EngineInfo("scripted", MODEL, 131_072)

    async def generate(self, request: GenerationRequest, *, timeout_seconds: float, on_delta: Any = None) -> Generation:
        self.asked.append(request)
        try:
            for word in ("one ", "two ", "three"):
                if on_delta is not None:
                    await on_delta(word)
            if self.hangs:
                await asyncio.sleep(3600)
        finally:
            self.ended.set()
        if self.failure is not None:
            raise self.failure
        return Generation("one two three", "stop", Usage(11, 3, 7), MODEL)

    def count_tokens(self, text: str) -> int | None:
        return None

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.fixture
def engine() -> Pieces:
    return Pieces()


@pytest.fixture
async def base(engine: Pieces) -> AsyncIterator[str]:
    http = EngineHttp(engine, EngineModel(engine, clock=SystemClock(), seconds=PATIENCE), TOKEN)
    async with served(http) as url:
        yield url


class served:
    """A face on a socket of loopback, under the prefix that Serve gives its application."""

    def __init__(self, http: EngineHttp) -> None:
        self._http = http

    async def __aenter__(self) -> str:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope = {**scope, "root_path": "/engine"}
                response = await self._http.answer(Request(scope, receive))
                await response(scope, receive, send)

        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self._server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
        self._serving = asyncio.create_task(self._server.serve([self._socket]))
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/engine"

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._serving
        self._socket.close()


def client(base: str, key: str = TOKEN) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)


async def post(base: str, body: bytes, kind: str = "application/json", path: str = "chat/completions") -> Any:
    """(status, error object)."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{base}/v1/{path}", data=body, headers=headers) as answer:
            return answer.status, orjson.loads(await answer.read())["error"]


@pytest.mark.parametrize("stream", [False, True])
async def test_both_routes_answer_by_the_engine(base: str, engine: Pieces, stream: bool) -> None:
    options: dict[str, Any] = {"model": MODEL, "max_tokens": 99, "stream": stream}
    chat: Any = await client(base).chat.completions.create(messages=QUESTION, **options)
    text: Any = await client(base).completions.create(prompt=[1, 2], **options)
    if stream:
        said = "".join([one.choices[0].delta.content or "" async for one in chat])
        also = "".join([one.choices[0].text async for one in text])
    else:
        said, also = chat.choices[0].message.content, text.choices[0].text
    assert said == also == "one two three"
    assert [one.max_tokens for one in engine.asked] == [99, 99]
    assert [one.raw and one.raw.prompt for one in engine.asked] == [None, (1, 2)]


async def test_the_model_is_listed_and_who_comes_first_is_said(base: str, engine: Pieces) -> None:
    [card] = [model async for model in client(base).models.list()]
    assert (card.id, card.max_model_len) == (MODEL, 131_072)  # type: ignore[attr-defined]
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        async with session.get(f"{base}/server_info") as answer:
            assert (await answer.json())["enable_priority_scheduling"] is True
    await client(base).chat.completions.create(model=MODEL, messages=QUESTION, extra_body={"priority": -7})
    assert engine.asked[0].priority == -7


@pytest.mark.parametrize("key", ["", "between", "between-us-", "\u00e9"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/nowhere"])
async def test_nobody_comes_in_without_the_token(base: str, engine: Pieces, key: str, path: str) -> None:
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with session.post(base + path, json={"model": MODEL, "messages": QUESTION}, headers=headers) as answer:
            assert answer.status == 401
    assert engine.asked == []


@pytest.mark.parametrize("header", [{"Origin": "http://rebound.example"}, {"Sec-Fetch-Site": "same-origin"}])
async def test_a_page_in_a_browser_needs_the_token(base: str, engine: Pieces, header: dict[str, str]) -> None:
    asked = {"model": MODEL, "messages": QUESTION}
    open_face = EngineHttp(engine, EngineModel(engine, clock=SystemClock(), seconds=PATIENCE), None)
    async with aiohttp.ClientSession() as session, served(open_face) as unguarded:
        async with session.post(f"{unguarded}/v1/chat/completions", json=asked, headers=header) as answer:
            assert answer.status == 403
        assert engine.asked == []
        async with session.post(f"{unguarded}/v1/chat/completions", json=asked) as answer:
            assert answer.status == 200
        key = {"Authorization": f"Bearer {TOKEN}"}
        async with session.post(f"{base}/v1/chat/completions", json=asked, headers=header | key) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("body", "kind", "status", "code", "param"),
    [
        (b"[]", "application/json", 400, "bad_request", None),
        (b"{", "application/json", 400, "invalid_json", None),
        (b'{"model": "\xff"}', "application/json", 400, "invalid_utf8", None),
        (b'{"messages": []}', "application/json", 400, "bad_request", "model"),
        (b'{"model": "gpt-5", "messages": []}', "application/json", 404, "model_not_found", "model"),
        (b'{"model": "%s", "rid": "1"}' % MODEL.encode(), "application/json", 400, "bad_request", "rid"),
        (
            b'{"model": "%s", "messages": [{"role": "user", "content": "x"}], "tools": [1]}' % MODEL.encode(),
            "application/json",
            400,
            "unsupported_field",
            "tools",
        ),
        (b"{}", "text/plain", 415, "unsupported_media_type", "Content-Type"),
        (b" " * (8 * 1024 * 1024 + 1), "application/json", 413, "body_too_large", None),
    ],
)
async def test_what_cannot_be_asked_never_reaches_the_engine(
    base: str, engine: Pieces, body: bytes, kind: str, status: int, code: str, param: str | None
) -> None:
    found, error = await post(base, body, kind)
    assert (found, error["code"], error["param"]) == (status, code, param)
    assert engine.asked == []


async def test_a_body_that_grows_beyond_the_bound_is_refused_while_it_comes(base: str, engine: Pieces) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 1024 * 1024

    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{base}/v1/completions", data=endless(), headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (413, "body_too_large")
    assert engine.asked == []


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/completions", 405), ("POST", "/v1/embeddings", 404)]
)
async def test_there_are_no_other_routes(base: str, method: str, path: str, status: int) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        async with session.request(method, base + path) as answer:
            assert answer.status == status


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (PromptTooLong("too long"), 400, "context_length_exceeded"),
        (BoundaryError("top_p is 9", code="engine_rejected"), 400, "model_refused"),
        (BoundaryError("full", code="engine_busy", transient=True, retry_after=7.0), 503, "engine_busy"),
        (BoundaryError("late", code="engine_timeout", transient=True), 504, "engine_timeout"),
        (BoundaryError("broken", code="engine_error"), 502, "engine_error"),
    ],
)
async def test_a_failure_has_its_status_and_in_a_stream_its_event(
    base: str, engine: Pieces, failure: LiteResearcherError, status: int, code: str
) -> None:
    engine.failure = failure
    with pytest.raises(openai.APIStatusError) as caught:
        await client(base).chat.completions.create(model=MODEL, messages=QUESTION)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    if code == "engine_busy":
        assert caught.value.response.headers["Retry-After"] == "7"
    with pytest.raises(openai.APIError) as broken:
        async for _ in await client(base).chat.completions.create(model=MODEL, messages=QUESTION, stream=True):
            pass
    assert broken.value.code == code


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_who_goes_away_ends_the_generation(base: str, engine: Pieces, stream: bool) -> None:
    engine.hangs = True
    body = {"model": MODEL, "messages": QUESTION, "stream": stream}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        asking = asyncio.ensure_future(session.post(f"{base}/v1/chat/completions", json=body))
        async with asyncio.timeout(PATIENCE):
            while not engine.asked:
                await asyncio.sleep(0.01)
            if stream:
                answer = await asking
                assert b"one" in await answer.content.readuntil(b"one")
        assert not engine.ended.is_set()
        asking.cancel()
    async with asyncio.timeout(PATIENCE):
        await engine.ended.wait()


async def test_an_application_without_a_language_model_says_so(engine: Pieces) -> None:
    none = Upstream(EngineSection(kind="extractive"), clock=SystemClock())
    async with served(EngineHttp(engine, none, TOKEN)) as url:
        status, error = await post(url, b"{}")
    assert (status, error["code"]) == (503, "no_language_model")
