"""A local OpenAI-compatible server that acts out a script over real HTTP, misbehaviour included.

Owns: the wire forms of answers, streams and failures as SGLang and others send them; what it was asked (`bodies`).
Refuses to know: rollouts (see `testing.replay`), the client under test. For tests of engines and of whole platforms
against servers that are slow, broken or rude.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.testing.contracts.engine import Act, Fail, Hang, Say


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer to the byte."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of these events, in pieces as given; `drop` breaks the connection afterwards instead of ending it."""

    pieces: tuple[bytes, ...]
    drop: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is closed without an answer, after `sent` bytes of one."""

    sent: bytes = b""


@dataclass(frozen=True, slots=True)
class RefuseFields:
    """Answers 400 in the server's `words` as long as any of `names` is in the body; otherwise does what follows."""

    names: tuple[str, ...]
    words: str


Script = Act | Raw | Stream | Drop | RefuseFields

MODEL_INFO = {"model_path": "/models/stub-model", "tokenizer_path": "/models/stub-model", "is_generation": True}
"""What SGLang says of itself."""

_FAILURES: dict[str, Raw] = {
    "engine_busy": Raw(b'{"error":{"message":"queue is full"}}', 429),
    "engine_error": Raw(b"Internal Server Error", 500, "text/plain"),
    "engine_garbage": Raw(b"<html><body>gateway</body></html>", 200, "text/html"),
    "engine_rejected": Raw(b'{"object":"error","message":"temperature must be at most 2","code":400}', 400),
    "engine_unauthorized": Raw(b'{"error":{"message":"Incorrect API key provided"}}', 401),
    "prompt_too_long": Raw(
        b'{"object":"error","message":"The input (140000 tokens) is longer than the model\'s context length '
        b'(131072 tokens).","type":"BadRequestError","code":400}',
        400,
    ),
}


class ModelServer:
    """`async with ModelServer(acts) as server`: `server.base_url` ends in /v1."""

    def __init__(
        self,
        acts: Iterable[Script] = (),
        *,
        models: Any = None,
        pages: dict[str, Any] | None = None,
        native: Tokenizer | None = None,
    ) -> None:
        """`models`: the answer of /v1/models (a Raw or a list of cards); `pages`: other GET paths and their JSON;
        `native`: SGLang's own pages and `/generate` too, with this tokenizer's ids."""
        self.acts: deque[Script] = deque(acts)
        self.models = [{"id": "stub-model", "max_model_len": 40_960}] if models is None else models
        self.pages = ({} if native is None else {"/model_info": MODEL_INFO}) | (pages or {})
        self._native = native
        self.bodies: list[dict[str, Any]] = []
        self.raw_bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.closed_early = asyncio.Event()
        """Set when a client went away before its answer was sent."""
        self.base_url = ""
        self._release = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> ModelServer:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._generate)
        app.router.add_post("/v1/completions", self._generate)
        if self._native is not None:
            app.router.add_post("/generate", self._generate)
        app.router.add_get("/{path:.*}", self._get)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._release.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _get(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.headers.append(dict(request.headers))
        if request.path == "/v1/models":
            if isinstance(self.models, Raw):
                return _raw(self.models)
            return _json({"object": "list", "data": self.models})
        if request.path in self.pages:
            return _json(self.pages[request.path])
        return web.Response(status=404, text="not found")

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = orjson.loads(raw)
        self.raw_bodies.append(raw)
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        while isinstance(act := self.acts[0], RefuseFields):
            if any(name in body for name in act.names):
                return _json({"error": {"message": act.words}}, status=400)
            self.acts.popleft()
        act = self.acts.popleft()
        try:
            return await self._act(act, request, body)
        except (asyncio.CancelledError, ConnectionError):
            self.closed_early.set()
            raise

    async def _act(self, act: Script, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if isinstance(act, Fail):
            act = self._failure(act)
        if isinstance(act, Raw):
            return _raw(act)
        if isinstance(act, Drop):
            assert request.transport is not None
            request.transport.write(act.sent)
            request.transport.close()
            return web.Response()
        if isinstance(act, Stream):
            return await self._stream(act, request)
        if isinstance(act, Say) and request.path == "/generate" and self._native is not None:
            spoken = spoken_natively(act, self._native, body)
            if body.get("stream"):
                return await self._stream(Stream((*map(event, spoken), b"data: [DONE]\n\n")), request)
            return _json(spoken[-1])
        if isinstance(act, Say):
            chat = request.path.endswith("chat/completions")
            if body.get("stream"):
                return await self._stream(Stream(tuple(stream_events(act, chat=chat))), request)
            return _json(whole_answer(act, chat=chat))
        await self._release.wait()
        return web.Response(status=503)

    def _failure(self, act: Fail) -> Script:
        if act.code == "engine_unreachable":
            return Drop()
        if act.code == "engine_timeout":
            return Hang()
        raw = _FAILURES[act.code]
        headers = {} if act.retry_after is None else {"Retry-After": f"{act.retry_after:g}"}
        return Raw(raw.body, raw.status, raw.content_type, headers)

    async def _stream(self, act: Stream, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in act.pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        if act.drop and request.transport is not None:
            request.transport.close()
        return response


def spoken_natively(act: Say, tokenizer: Tokenizer, body: dict[str, Any]) -> list[dict[str, Any]]:
    """A generation as SGLang's own route streams it: each event all text and ids so far, the last one whole. A text
    of its own accord ends in `<|im_end|>`, which is in the ids alone."""
    # Letter by letter, as no tokenizer would: only who is told the ids can repeat them.
    spelled = [tokenizer.encode(letter) for letter in act.text]
    end = [number for number in (tokenizer.token("<|im_end|>"),) if number is not None]
    reason = {"type": "stop", "matched": end[0]} if act.finish_reason == "stop" else {"type": act.finish_reason}
    ids = [number for letter in spelled for number in letter] + (end if act.finish_reason == "stop" else [])
    events = []
    for at in [*range(5, len(act.text), 5), None]:
        known = ids if at is None else [number for letter in spelled[:at] for number in letter]
        meta: dict[str, Any] = {
            "id": "stub",
            "finish_reason": reason if at is None else None,
            "prompt_tokens": len(body["input_ids"]),
            "completion_tokens": len(known),
            "cached_tokens": 5,
            "weight_version": "default",
        }
        if body.get("return_logprob"):
            meta["output_token_logprobs"] = [[-0.25, number, None] for number in known]
        events.append({"text": act.text[:at], "output_ids": known, "meta_info": meta})
    return events


def whole_answer(act: Say, *, chat: bool) -> dict[str, Any]:
    """The JSON of an answer that is not streamed."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": act.finish_reason, "matched_stop": None}
    choice.update({"message": {"role": "assistant", "content": act.text}} if chat else {"text": act.text})
    return {"id": "stub", "model": "stub-model", "choices": [choice], "usage": _usage(act.text)}


def stream_events(act: Say, *, chat: bool) -> list[bytes]:
    """The same as server-sent events, cut into pieces of five characters."""
    events: list[dict[str, Any]] = []
    for at in range(0, len(act.text), 5):
        piece = act.text[at : at + 5]
        events.append(
            {"index": 0, **({"delta": {"content": piece}} if chat else {"text": piece}), "finish_reason": None}
        )
    events.append({"index": 0, **({"delta": {}} if chat else {"text": ""}), "finish_reason": act.finish_reason})
    lines = [event({"id": "stub", "model": "stub-model", "choices": [choice]}) for choice in events]
    return [*lines, event({"model": "stub-model", "choices": [], "usage": _usage(act.text)}), b"data: [DONE]\n\n"]


def event(value: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _usage(text: str) -> dict[str, Any]:
    return {
        "prompt_tokens": 20,
        "completion_tokens": len(text) // 4 + 1,
        "prompt_tokens_details": {"cached_tokens": 5},
    }


def _raw(act: Raw) -> web.Response:
    return web.Response(body=act.body, status=act.status, content_type=act.content_type, headers=act.headers)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
