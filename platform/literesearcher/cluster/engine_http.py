"""The engine over HTTP, in OpenAI's form: what the gateway passes requests for the raw model on to.

Owns: `/v1/models` and `/v1/chat/completions` of one replica, the service token, which fields a request may have. A
field that the port to engines cannot carry is refused by its name, never dropped. Refuses to know: Ray, jobs (a request
is a conversation of nobody's, and is kept for no next turn). Above: `engine_app`. Below: any engine.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from literesearcher.engine.port import Engine, Generation, GenerationRequest
from literesearcher.errors import BoundaryError, CallerError, LiteResearcherError, PromptTooLong
from literesearcher.gateway.openai_errors import error_object
from literesearcher.research.messages import Message, Sampling

MAX_BODY_BYTES = 8 * 1024 * 1024
TIMEOUT_SECONDS = 3600.0
"""The gateway's own deadline comes first."""
MAX_TOKENS = 10_000
"""Of a request that names none: what a turn of the model may have."""
SAMPLING = ("temperature", "top_p", "min_p", "presence_penalty", "repetition_penalty")
FIELDS = {
    *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "seed", "top_k"),
    *SAMPLING,
}
NOTHING = {"n": 1, "frequency_penalty": 0, "logprobs": False, "user": None}
"""Fields that may be there as long as they ask for nothing."""
STATUSES = {"engine_busy": 503, "engine_timeout": 504}


class EngineHttp:
    """One replica's HTTP face. Without a token whoever reaches it may ask."""

    def __init__(self, engine: Engine, token: str | None) -> None:
        self._engine = engine
        self._token = token

    async def answer(self, request: Request) -> Response:
        """Any request."""
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token is not None and not hmac.compare_digest(given.encode(), self._token.encode()):
            return _error(401, "the service token is missing or wrong", "unauthorized")
        try:
            if (request.method, path) == ("GET", "/v1/models"):
                info = await self._engine.describe()
                card = {"id": info.model, "object": "model", "max_model_len": info.context_length}
                return _json(200, {"object": "list", "data": [card]})
            if (request.method, path) == ("POST", "/v1/chat/completions"):
                return await self._chat(request)
        except LiteResearcherError as error:
            return _failure(error)
        return _error(404, f"there is no {request.method} {path[:100]}", "not_found")

    async def _chat(self, request: Request) -> Response:
        # A browser may send no such body to another site without asking first.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise CallerError("the body must be application/json", code="bad_request")
        body = await _body(request)
        asked = _asked(body)
        model = (await self._engine.describe()).model
        if not body.get("stream"):
            generation = await self._engine.generate(asked, timeout_seconds=TIMEOUT_SECONDS)
            message = {"role": "assistant", "content": generation.text}
            choice = {"index": 0, "message": message, "finish_reason": generation.finish_reason}
            whole = {"object": "chat.completion", "model": model, "choices": [choice], "usage": _usage(generation)}
            return _json(200, {"id": "chatcmpl", "created": 0} | whole)
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return StreamingResponse(self._events(asked, model, wants_usage), media_type="text/event-stream")

    async def _events(self, asked: GenerationRequest, model: str, wants_usage: bool) -> AsyncIterator[bytes]:
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        def chunk(**fields: Any) -> bytes:
            head = {"id": "chatcmpl", "object": "chat.completion.chunk", "created": 0, "model": model}
            return b"data: " + orjson.dumps(head | {"choices": []} | fields) + b"\n\n"

        def choice(delta: dict[str, str], finish: str | None = None) -> list[dict[str, Any]]:
            return [{"index": 0, "delta": delta, "finish_reason": finish}]

        work = asyncio.create_task(self._engine.generate(asked, timeout_seconds=TIMEOUT_SECONDS, on_delta=pieces.put))
        work.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            yield chunk(choices=choice({"role": "assistant", "content": ""}))
            while (piece := await pieces.get()) is not None:
                yield chunk(choices=choice({"content": piece}))
            try:
                generation = work.result()
            except LiteResearcherError as error:
                yield b"data: " + _failure(error).body + b"\n\n"
                return
            yield chunk(choices=choice({}, generation.finish_reason))
            if wants_usage:
                yield chunk(usage=_usage(generation))
            yield b"data: [DONE]\n\n"
        finally:
            work.cancel()
            await asyncio.wait([work])


async def _body(request: Request) -> dict[str, Any]:
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY_BYTES:
            raise CallerError(f"the body has more than {MAX_BODY_BYTES} bytes", code="bad_request")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise CallerError("the body must be a JSON object", code="bad_request")
    return body


def _asked(body: Mapping[str, Any]) -> GenerationRequest:
    for name, value in body.items():
        if name not in FIELDS and value is not None and value != NOTHING.get(name, ...):
            raise CallerError(f"{name[:100]} cannot be asked for here", code="unsupported_field", field=name[:100])
    stop = body.get("stop") or ()
    stop = (stop,) if isinstance(stop, str) else stop
    if not isinstance(stop, list | tuple) or not all(isinstance(one, str) and one for one in stop):
        raise CallerError("stop must be a text or a list of texts", code="bad_request", field="stop")
    given = {name: _number(name, body[name]) for name in SAMPLING if body.get(name) is not None}
    whole = {name: _whole(name, body[name]) for name in ("top_k", "seed") if body.get(name) is not None}
    limit = next((body[name] for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None), None)
    return GenerationRequest(
        program="",
        messages=_messages(body.get("messages")),
        sampling=Sampling(**{"stop": tuple(stop)} | given | whole),  # type: ignore[arg-type]
        max_tokens=MAX_TOKENS if limit is None else max(1, _whole("max_tokens", limit)),
    )


def _messages(given: Any) -> tuple[Message, ...]:
    if not isinstance(given, list) or not given:
        raise CallerError("messages must be a list with at least one message", code="bad_request", field="messages")
    found = []
    for one in given:
        role, content = (one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None)
        if isinstance(content, list):
            texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
            content = "".join(texts) if len(texts) == len(content) else None
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            raise CallerError(
                "a message has a role (system, user, assistant) and a text", code="bad_request", field="messages"
            )
        found.append(Message(role, content))
    return tuple(found)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CallerError(f"{name} must be a number", code="bad_request", field=name)
    return float(value)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CallerError(f"{name} must be a whole number", code="bad_request", field=name)
    return value


def _usage(generation: Generation) -> dict[str, Any]:
    used = generation.usage
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
    }


def _failure(error: LiteResearcherError) -> Response:
    if isinstance(error, PromptTooLong):
        return _error(400, error.message, "context_length_exceeded")
    if isinstance(error, BoundaryError):
        return _error(STATUSES.get(error.code, 500), error.message, error.code)
    field = error.field if isinstance(error, CallerError) else None
    return _json(400, error_object(error.code, error.message, status=400, param=field))


def _error(status: int, message: str, code: str) -> Response:
    return _json(status, error_object(code, message, status=status))


def _json(status: int, content: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
