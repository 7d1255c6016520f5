"""The engine over HTTP, in OpenAI's form: what a gateway passes requests for the raw model on to.

Owns: the routes of one replica, the service token, the bound of a body, refusals in OpenAI's form. Refuses to know:
Ray, jobs, tenants, what is asked (`gateway.raw_model`). Above: `engine_app`, whose Serve gives it requests with the
application's own prefix cut off. Below: the gateway's own reader and passer of such requests.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from literesearcher.engine.port import Engine
from literesearcher.errors import BoundaryError, CallerError, LiteResearcherError
from literesearcher.gateway.model_call import TRUSTED_FIELDS, read_call, unknown_model
from literesearcher.gateway.openai_errors import CHAT, COMPLETIONS, MODELS, error_object
from literesearcher.gateway.passed_answer import PassedAnswer
from literesearcher.gateway.problems import RETRY_AFTER_SECONDS, status_of
from literesearcher.gateway.raw_model.port import RawModel
from literesearcher.gateway.request_body import BODY_SECONDS, MAX_MODEL_BODY_BYTES, RequestBody
from literesearcher.gateway.turnstile import Turnstile

SERVER_INFO = "/server_info"
"""Where SGLang's own server says how it schedules; so does this one, for `engine.openai`."""
STALL_SECONDS = 60.0
"""A reader that takes nothing for so long is let go, and its generation with it."""
_OF_PAGES = ("origin", "sec-fetch-site")
"""What browsers put on a page's requests, and no client of ours does."""
_NO_BOUND = 2**62
"""Requests are bounded by whoever has tenants."""


class EngineHttp:
    """One replica's HTTP face. Without a token whoever reaches it may ask, but for pages in somebody's browser: they
    reach loopback too, under a name of theirs that leads there."""

    def __init__(self, engine: Engine, model: RawModel, token: str | None) -> None:
        """`model` is what stands behind the routes, of the same engine."""
        self._engine = engine
        self._model = model
        self._token = token
        self._turns = Turnstile(_NO_BOUND)

    async def answer(self, request: Request) -> Response:
        """Any request."""
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token is not None and not hmac.compare_digest(given.encode(), self._token.encode()):
            return _refusal(401, "unauthorized", "the service token is missing or wrong")
        if self._token is None and any(name in request.headers for name in _OF_PAGES):
            return _refusal(403, "forbidden", "no page may ask without a service token")
        try:
            match request.method, path:
                case "GET", "/v1/models":
                    return _json(200, {"object": "list", "data": [await self._card()]})
                case "GET", "/server_info":
                    return _json(200, {"enable_priority_scheduling": True})
                case "POST", "/v1/chat/completions" | "/v1/completions":
                    return await self._passed(request, path)
        except LiteResearcherError as error:
            return _worded(error)
        known = path in (CHAT, COMPLETIONS, MODELS, SERVER_INFO)
        said = f"there is no {request.method} {path[:100]}"
        return _refusal(405, "method_not_allowed", said) if known else _refusal(404, "route_not_found", said)

    async def aclose(self) -> None:
        """Close what the model holds open."""
        await self._model.aclose()

    async def _card(self) -> dict[str, Any]:
        info = await self._engine.describe()
        return {
            "id": info.model,
            "object": "model",
            "created": 0,
            "owned_by": "literesearcher",
            "max_model_len": info.context_length,
        }

    async def _passed(self, request: Request, path: str) -> Response:
        self._model.check()
        body = RequestBody(request.receive, request.headers, BODY_SECONDS, most_bytes=MAX_MODEL_BODY_BYTES)
        body.check_length()
        call = await read_call(Request(request.scope, body.receive), refused=TRUSTED_FIELDS)
        if call.model != (await self._engine.describe()).model:
            raise unknown_model()
        return _Worded(
            PassedAnswer(call, path, model=self._model, turns=self._turns, tenant_id="", stall_seconds=STALL_SECONDS)
        )


class _Worded(Response):
    """An answer whose failure before the first byte is worded here: nobody stands above it who would."""

    def __init__(self, answer: PassedAnswer) -> None:
        self._answer = answer
        self.status_code = 200
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        try:
            await self._answer(scope, receive, send)
        except LiteResearcherError as error:
            await _worded(error)(scope, receive, send)


def _worded(error: LiteResearcherError) -> Response:
    status = status_of(error)
    param = error.field if isinstance(error, CallerError) else None
    response = _refusal(status, error.code, error.message, param)
    if status in (429, 503):
        asked = error.retry_after if isinstance(error, BoundaryError) else None
        response.headers["Retry-After"] = str(max(1, round(asked or RETRY_AFTER_SECONDS)))
    return response


def _refusal(status: int, code: str, message: str, param: str | None = None) -> Response:
    return _json(status, error_object(code, message, status=status, param=param))


def _json(status: int, content: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
