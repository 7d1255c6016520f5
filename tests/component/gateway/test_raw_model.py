"""The raw model through the gateway, by OpenAI's own client and by hand, over real HTTP against a scripted server."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import openai
import orjson
import pytest
from aiohttp import web

from literesearcher.engine.port import EngineInfo
from literesearcher.gateway.problems import STATUS_BY_CODE
from literesearcher.settings.sections import EngineSection
from literesearcher.testing.contracts.engine import Fail, Hang, Say
from literesearcher.testing.model_server import Drop, ModelServer, Raw, Script, Stream, event
from literesearcher.testing.served_gateway import FAST, PATIENCE, Served

SECRET = "sk-of-the-engine"
MODEL = "stub-model"
TEXT = "<think>\nÉtude 谁 \u202f\n</think>\n<answer>Paris</answer>"
PUBLISHED: dict[str, Any] = {
    "messages": [{"role": "system", "content": "You are a researcher. 谁"}, {"role": "user", "content": "Who?\n"}],
    "stop": ["\n<tool_response>", "<tool_response>"],
    "temperature": 0.6,
    "top_p": 0.95,
    "max_tokens": 10_000,
    "presence_penalty": 1.1,
    "extra_body": {"top_k": 20, "min_p": 0, "repetition_penalty": 1.0},
}
"""What the published inference script asks by OpenAI's client."""

Start = Callable[..., Awaitable[Served]]
House = Callable[..., Awaitable[tuple[ModelServer, Served]]]


async def info() -> EngineInfo:
    return EngineInfo(kind="openai", model=MODEL, context_length=40_960)


@pytest.fixture
async def house(start: Start) -> AsyncIterator[House]:
    """A scripted model server and a gateway before it."""
    async with AsyncExitStack() as stack:

        async def make(*acts: Script, timeout: float = PATIENCE, **options: Any) -> tuple[ModelServer, Served]:
            server = await stack.enter_async_context(ModelServer(acts))
            engine = EngineSection(base_url=server.base_url, api_key=SECRET, request_timeout_seconds=timeout)
            return server, await start(engine=engine, engine_info=info, **options)

        yield make


@pytest.fixture
async def client() -> AsyncIterator[Callable[..., Awaitable[openai.AsyncOpenAI]]]:
    """Makes OpenAI's client, with a key of the gateway's that it asks."""
    async with AsyncExitStack() as stack:

        async def make(asked: Served | str, *, key: str = "", retries: int = 0) -> openai.AsyncOpenAI:
            base = asked if isinstance(asked, str) else f"{asked.base}/v1"
            if not key:
                key = "any" if isinstance(asked, str) else await keyed(asked)
            made = openai.AsyncOpenAI(base_url=base, api_key=key, max_retries=retries, timeout=PATIENCE)
            stack.push_async_callback(made.close)
            return made

        yield make


async def keyed(served: Served, tenant: str = "one") -> str:
    return str((await served.store.create_key(tenant, ""))[1])


class TestAnswers:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("endpoint", ["chat", "completions"])
    async def test_openai_s_client_gets_what_the_server_says(
        self, house: House, client: Any, endpoint: str, stream: bool
    ) -> None:
        server, served = await house(Say(TEXT))
        token = await keyed(served)
        asked = await client(served, key=token)
        options: dict[str, Any] = {"model": MODEL, "stream": stream}
        if endpoint == "chat":
            answer = await asked.chat.completions.create(messages=PUBLISHED["messages"], **options)
        else:
            answer = await asked.completions.create(prompt="<|im_start|>user\n", **options)
        if stream:
            chunks = [chunk async for chunk in answer]
            choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
            said = "".join((one.delta.content if endpoint == "chat" else one.text) or "" for one in choices)
            assert (choices[-1].finish_reason, len(choices) > 5) == ("stop", True)
            usage = chunks[-1].usage
        else:
            said = answer.choices[0].message.content if endpoint == "chat" else answer.choices[0].text
            usage = answer.usage
        assert (said, usage.prompt_tokens) == (TEXT, 20)
        assert server.paths == ["/v1/chat/completions" if endpoint == "chat" else "/v1/completions"]
        [sent] = server.headers
        assert sent["Authorization"] == f"Bearer {SECRET}"
        assert token not in str(sent)
        assert not {name.lower() for name in sent} & {"x-api-key", "cookie", "x-stainless-lang", "connection"}

    @pytest.mark.parametrize("stream", [False, True])
    async def test_the_published_script_s_request_goes_through_to_the_byte(
        self, house: House, client: Any, stream: bool
    ) -> None:
        server, served = await house(Say("straight"), Say("passed"))
        for base in (server.base_url, served):
            answer = await (await client(base)).chat.completions.create(model=MODEL, stream=stream, **PUBLISHED)
            if stream:
                assert [chunk async for chunk in answer]
        straight, passed = server.raw_bodies
        assert passed == straight
        assert {"top_k": 20, "min_p": 0, "presence_penalty": 1.1}.items() <= server.bodies[1].items()

    async def test_bytes_that_no_program_of_ours_would_write_stay(self, house: House) -> None:
        server, served = await house(Say(TEXT))
        raw = b'{ "prompt" : [1, 151645,2],\t"model":"stub-model", "n":1e0, "unheard_of":{"\\u8c01": 0.10},\r\n"x":"/"}'
        for kind, content in (("Cookie", "a=b"), ("X-API-Key", await keyed(served))):
            headers = {"Content-Type": "application/json; charset=utf-8", kind: content}
            status, _, said = await served.call("POST", "/v1/completions", data=raw, headers=headers)
        assert (status, said["choices"][0]["text"]) == (200, TEXT)
        assert server.raw_bodies == [raw]

    async def test_a_long_conversation_passes(self, house: House) -> None:
        server, served = await house(Say(TEXT))
        ids = list(range(100_000, 351_000))
        status, _, _ = await served.call("POST", "/v1/completions", json={"model": MODEL, "prompt": ids, "user": "u"})
        assert (status, server.bodies[0]["prompt"]) == (200, ids)
        assert len(server.raw_bodies[0]) > 2 * 1024 * 1024 - 500_000

    async def test_the_model_is_listed(self, house: House, client: Any) -> None:
        _, served = await house()
        [card] = (await (await client(served)).models.list()).data
        assert (card.id, card.language_model, card.context_length) == (MODEL, True, 40_960)


class Paced:
    """A model server that streams a piece each time it is told to, and says when its caller is gone."""

    def __init__(self, piece: bytes = b"") -> None:
        self._piece = piece or event({"choices": [{"index": 0, "delta": {"content": "more"}, "finish_reason": None}]})
        self.go = asyncio.Semaphore(0)
        self.gone = asyncio.Event()
        self.base_url = ""

    async def __aenter__(self) -> Paced:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await response.prepare(request)
            while True:
                await self.go.acquire()
                await response.write(self._piece)
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise


class TestLeaving:
    async def test_a_piece_is_passed_on_before_the_next_is_made(self, start: Start, client: Any) -> None:
        async with Paced() as server:
            served = await start(engine=EngineSection(base_url=server.base_url), engine_info=info)
            asked = await client(served)
            answer = await self._begin(server, asked)
            pieces = aiter(answer)
            for _ in range(3):
                chunk = await asyncio.wait_for(anext(pieces), PATIENCE)
                assert chunk.choices[0].delta.content == "more"
                assert not server.gone.is_set()
                server.go.release()
            await answer.close()
            await asyncio.wait_for(server.gone.wait(), PATIENCE)

    async def _begin(self, server: Paced, asked: openai.AsyncOpenAI) -> Any:
        server.go.release()
        return await asked.chat.completions.create(model=MODEL, messages=PUBLISHED["messages"], stream=True)

    async def test_who_waits_for_a_whole_answer_and_leaves_ends_the_call(self, house: House) -> None:
        server, served = await house(Hang())
        waiting = asyncio.ensure_future(
            served.call("POST", "/v1/chat/completions", json={"model": MODEL, "messages": []})
        )
        while not server.bodies:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait_for(server.closed_early.wait(), PATIENCE)

    async def test_who_takes_nothing_is_left(self, start: Start) -> None:
        async with Paced(b"data: " + b"x" * 1_000_000 + b"\n\n") as server:
            pace = dataclasses.replace(FAST, stall_seconds=0.2)
            served = await start(engine=EngineSection(base_url=server.base_url), engine_info=info, pace=pace)
            body = orjson.dumps({"model": MODEL, "messages": [], "stream": True})
            for _ in range(100):
                server.go.release()
            with socket.create_connection(("127.0.0.1", served.port)) as deaf:
                deaf.sendall(
                    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                )
                await asyncio.wait_for(server.gone.wait(), PATIENCE)

    async def test_a_server_that_stops_ends_the_call(self, house: House) -> None:
        server, served = await house(Hang())
        waiting = asyncio.ensure_future(
            served.call("POST", "/v1/chat/completions", json={"model": MODEL, "messages": []})
        )
        while not server.bodies:
            await asyncio.sleep(0.01)
        served.stop.set()
        await asyncio.wait_for(server.closed_early.wait(), PATIENCE)
        await asyncio.gather(waiting, return_exceptions=True)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
FAILURES = [
    (Fail("engine_unreachable"), "engine_unreachable", openai.InternalServerError),
    (Fail("engine_busy", 7), "engine_busy", openai.InternalServerError),
    (Fail("engine_error"), "engine_error", openai.InternalServerError),
    (Fail("engine_garbage"), "engine_garbage", openai.InternalServerError),
    (Fail("engine_unauthorized"), "engine_unauthorized", openai.InternalServerError),
    (Fail("engine_rejected"), "model_refused", openai.BadRequestError),
    (Fail("prompt_too_long"), "context_length_exceeded", openai.BadRequestError),
    (
        Raw(b'{"error":{"message":"10 tokens are more than 9","code":"context_length_exceeded"}}', 400),
        "context_length_exceeded",
        openai.BadRequestError,
    ),
    (Raw(b'{"error":{"message":"no such model"}}', 404), "model_refused", openai.BadRequestError),
    (Raw(b"moved", 302, headers={"Location": "http://elsewhere/"}), "engine_garbage", openai.InternalServerError),
    (Drop(HEAD + b'{"choi'), "engine_garbage", openai.InternalServerError),
]


class TestFailures:
    @pytest.mark.parametrize(("act", "code", "kind"), FAILURES)
    @pytest.mark.parametrize("stream", [False, True])
    async def test_each_failure_reads_as_openai_s(
        self, house: House, client: Any, act: Script, code: str, kind: type[openai.APIStatusError], stream: bool
    ) -> None:
        server, served = await house(act)
        with pytest.raises(kind) as raised:
            await (await client(served)).chat.completions.create(
                model=MODEL, messages=PUBLISHED["messages"], stream=stream
            )
        error = raised.value
        if code != "engine_unreachable":
            assert (error.code, error.status_code) == (code, STATUS_BY_CODE[code])
            assert isinstance(error.body, dict)
            assert error.body["message"]
        assert (error.response.headers.get("Retry-After") is not None) is (error.status_code == 503)
        if code == "engine_busy":
            assert error.response.headers["Retry-After"] == "7"
        if code == "model_refused" and act == Fail("engine_rejected"):
            assert error.body == {
                "message": "temperature must be at most 2",
                "type": "invalid_request_error",
                "param": None,
                "code": "model_refused",
            }
        shown = error.response.text + str(error.response.headers)
        assert "127.0.0.1" not in shown.replace(served.base, "")
        assert str(SECRET) not in shown
        assert len(server.bodies) == 1

    async def test_a_server_that_is_not_there(self, start: Start, client: Any) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            engine = EngineSection(base_url=f"http://127.0.0.1:{port}/v1")
            served = await start(engine=engine, engine_info=info)
            status, headers, said = await served.call("POST", "/v1/completions", json={"model": MODEL, "prompt": ""})
        assert (status, said["error"]["code"], said["error"]["type"]) == (503, "engine_unreachable", "server_error")
        assert int(headers["Retry-After"]) >= 1
        assert str(port) not in str(said)

    async def test_a_server_that_never_answers(self, house: House) -> None:
        server, served = await house(Hang(), timeout=0.2)
        status, _, said = await served.call("POST", "/v1/completions", json={"model": MODEL, "prompt": ""})
        assert (status, said["error"]["code"]) == (504, "engine_timeout")
        await asyncio.wait_for(server.closed_early.wait(), PATIENCE)

    async def test_what_the_server_lets_slip_is_not_shown(self, house: House) -> None:
        server, served = await house()
        slip = f"top_k at {server.base_url} (127.0.0.1) is wrong for {SECRET}"
        server.acts.append(Raw(orjson.dumps({"error": {"message": slip}}), 400))
        status, _, said = await served.call("POST", "/v1/completions", json={"model": MODEL, "prompt": ""})
        assert (status, said["error"]["code"]) == (400, "model_refused")
        assert said["error"]["message"] == "top_k at *** (***) is wrong for ***"

    async def test_a_stream_that_breaks_says_so_and_shows_no_half_event(self, house: House, client: Any) -> None:
        whole = event({"choices": [{"index": 0, "delta": {"content": "one"}, "finish_reason": None}]})
        _, served = await house(Stream((whole, b'data: {"choices":[{"ind'), drop=True))
        answer = await (await client(served)).chat.completions.create(
            model=MODEL, messages=PUBLISHED["messages"], stream=True
        )
        chunks = aiter(answer)
        assert (await anext(chunks)).choices[0].delta.content == "one"
        with pytest.raises(openai.APIError) as raised:
            await anext(chunks)
        assert (raised.value.code, raised.value.message) == (
            "engine_garbage",
            "the model server gave an answer that cannot be read",
        )

    async def test_without_a_language_model_nothing_is_asked_twice(self, served: Served, client: Any) -> None:
        with pytest.raises(openai.InternalServerError) as raised:
            await (await client(served, retries=5)).chat.completions.create(model="extractive", messages=[])
        assert (raised.value.status_code, raised.value.code) == (503, "no_language_model")
        assert "LITERESEARCHER_ENGINE__BASE_URL" in raised.value.message
        assert int(raised.value.response.headers["Retry-After"]) >= 1
        assert raised.value.response.request.headers["x-stainless-retry-count"] == "0"

    async def test_an_engine_that_is_named_extractive_passes_nothing_on(self, start: Start) -> None:
        served = await start(engine=EngineSection(kind="extractive", base_url="http://127.0.0.1:9/v1"))
        status, _, said = await served.call("POST", "/v1/completions", json={"model": "extractive"})
        assert (status, said["error"]["code"]) == (503, "no_language_model")


class TestRefusals:
    async def test_keys(self, house: House, client: Any) -> None:
        server, served = await house()
        await keyed(served)
        for key, code in (("lr_0123456789abcdef_wrong", "key_invalid"), ("sk-openai", "key_invalid")):
            asked = await client(served, key=key)
            with pytest.raises(openai.AuthenticationError) as raised:
                await asked.chat.completions.create(model=MODEL, messages=[])
            assert raised.value.code == code
            with pytest.raises(openai.AuthenticationError):
                await asked.models.list()
        status, headers, said = await served.call("POST", "/v1/completions", json={"model": MODEL})
        assert (status, said["error"]["code"], said["error"]["type"]) == (401, "key_missing", "authentication_error")
        assert headers["WWW-Authenticate"].startswith("Bearer")
        assert server.bodies == []

    async def test_a_tenant_has_so_many_under_way_and_no_more(self, house: House, client: Any) -> None:
        server, served = await house(Hang(), Say("other tenant"), Say("after it"), model_requests=2)
        one, other = await keyed(served, "one"), await keyed(served, "other")
        ask = {"model": MODEL, "prompt": ["a", "b"]}
        first = asyncio.ensure_future(
            served.call("POST", "/v1/completions", json=ask, headers={"Authorization": f"Bearer {one}"})
        )
        while not server.bodies:
            await asyncio.sleep(0.01)
        with pytest.raises(openai.RateLimitError) as raised:
            await (await client(served, key=one)).completions.create(model=MODEL, prompt="a")
        assert raised.value.code == "too_many_requests"
        assert int(raised.value.response.headers["Retry-After"]) >= 1
        said = await (await client(served, key=other)).completions.create(**ask)
        assert said.choices[0].text == "other tenant"
        first.cancel()
        await asyncio.wait_for(server.closed_early.wait(), PATIENCE)
        answer = None
        while answer is None:
            try:
                answer = await (await client(served, key=one)).completions.create(**ask)
            except openai.RateLimitError:
                await asyncio.sleep(0.01)
        assert answer.choices[0].text == "after it"

    @pytest.mark.parametrize(
        "more",
        [
            {"n": 3},
            {"n": 3.0},
            {"n": "3"},
            {"n": [3]},
            {"n": 1e300},
            {"best_of": 3},
            {"best_of": "3"},
            {"prompt": ["a", "b", "c"]},
            {"prompt": [[1]] * 3},
        ],
    )
    async def test_more_than_may_ever_be_under_way(self, house: House, more: dict[str, Any]) -> None:
        server, served = await house(model_requests=2)
        status, _, said = await served.call("POST", "/v1/completions", json={"model": MODEL, **more})
        assert (status, said["error"]["code"]) == (400, "bad_request")
        assert server.bodies == []

    @pytest.mark.parametrize(
        ("body", "status", "code", "param"),
        [
            (b'{"model":"stub-model",', 400, "invalid_json", None),
            (b'["model"]', 400, "bad_request", None),
            (b'{"model":"\xff"}', 400, "invalid_utf8", None),
            (b'{"model":"stub-model","x":"\\ud800"}', 400, "invalid_json", None),
            (b'{"prompt":"x"}', 400, "bad_request", "model"),
            (b'{"model":["stub-model"]}', 400, "bad_request", "model"),
            (b'{"model":"gpt-5"}', 404, "model_not_found", "model"),
            (b'{"model":"gpt-5","model":"stub-model"}', 422, "invalid_request", "model"),
            (b'{"model":"stub-model","rid":"job_1"}', 400, "bad_request", "rid"),
            (b'{"model":"stub-model","priority":9}', 400, "bad_request", "priority"),
            (b'{"model":"stub-model","custom_logit_processor":"gASV"}', 400, "bad_request", "custom_logit_processor"),
            (b'{"model":"stub-model","bootstrap_host":"10.0.0.1"}', 400, "bad_request", "bootstrap_host"),
            (b"[" * 100_000, 400, "invalid_json", None),
            (b'{"model":"stub-model","x":"' + b"x" * 8 * 1024 * 1024 + b'"}', 413, "body_too_large", None),
        ],
    )
    async def test_bad_bodies_are_refused_in_openai_s_form(
        self, house: House, body: bytes, status: int, code: str, param: str | None
    ) -> None:
        server, served = await house()
        found, headers, said = await served.call(
            "POST", "/v1/chat/completions", data=body, headers={"Content-Type": "application/json"}
        )
        assert (found, set(said), headers["Content-Type"]) == (status, {"error"}, "application/json")
        assert set(said["error"]) == {"message", "type", "param", "code"}
        assert (said["error"]["code"], said["error"]["param"]) == (code, param)
        assert said["error"]["message"]
        assert server.bodies == []

    async def test_what_the_outermost_layer_refuses_has_the_form_too(self, house: House) -> None:
        _, served = await house()
        cases: list[tuple[str, dict[str, str], int, str]] = [
            ("GET", {}, 405, "method_not_allowed"),
            ("POST", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
            ("POST", {"Origin": "https://evil.example"}, 403, "cross_site"),
            ("POST", {"Host": "evil.example"}, 421, "misdirected_request"),
        ]
        for method, headers, status, code in cases:
            found, _, said = await served.call(method, "/v1/chat/completions", headers=headers)
            assert (found, said["error"]["code"]) == (status, code)
        found, _, said = await served.call("POST", "/v1/completions?api-version=1", json={"model": MODEL})
        assert (found, said["error"]["param"]) == (422, "api-version")
