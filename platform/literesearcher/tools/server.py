"""The tool proxy as an HTTP service of its own: `literesearcher tools serve`.

Owns: the routes, their forms, and problem documents. Refuses to know: how a tool is carried out; who may call is
`server_access`. Below: anything that implements `tools.port.Tools`. A caller that hangs up cancels its call.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from literesearcher.errors import BoundaryError, CallerError, LiteResearcherError
from literesearcher.tools.arguments import SCHEMAS
from literesearcher.tools.port import ToolRequest, Tools
from literesearcher.tools.server_access import Access, problem
from literesearcher.tools.wire_form import decode_request, encode

MAX_BODY_BYTES = 2_000_000
_CLIENT_CLOSED = 499


def create_app(tools: Tools, *, token: SecretStr | None = None) -> FastAPI:
    """The application. Without a token it answers loopback callers only. `tools` stays its owner's to close."""
    app = FastAPI(title="LiteResearcher tools", docs_url=None, redoc_url=None)
    app.add_middleware(Access, token=token)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/tools")
    async def schemas() -> dict[str, Any]:
        """The tools and their argument schemas."""
        return {"tools": [{"type": "function", "function": schema} for schema in SCHEMAS]}

    @app.post("/v1/tools/call")
    async def call(request: Request) -> Response:
        """A whole tool call in, its result out; what `tools.http_client` speaks."""
        return await _carried_out(tools, request, decode_request(await _object(request)))

    @app.post("/v1/tools/search")
    async def search(request: Request) -> Response:
        """`{"query": [...]}`, also `profile` and `timeout_seconds`."""
        return await _carried_out(tools, request, _typed("search", ("query",), await _object(request)))

    @app.post("/v1/tools/visit")
    async def visit(request: Request) -> Response:
        """`{"url": [...], "goal": "..."}`, also `profile` and `timeout_seconds`."""
        return await _carried_out(tools, request, _typed("visit", ("url", "goal"), await _object(request)))

    @app.exception_handler(LiteResearcherError)
    async def attributed(request: Request, error: LiteResearcherError) -> Response:
        return problem(_status(error), error.code, error.message, field=getattr(error, "field", None))

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> Response:
        code = "not_found" if error.status_code == 404 else "method_not_allowed"
        return problem(error.status_code, code, str(error.detail))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return problem(500, "internal_error", "the tool proxy failed in a way that it did not foresee")

    return app


def _typed(name: str, fields: tuple[str, ...], data: dict[str, Any]) -> ToolRequest:
    arguments = {field: data.pop(field) for field in fields if field in data}
    return decode_request(data | {"name": name, "arguments": arguments})


def _status(error: LiteResearcherError) -> int:
    if isinstance(error, CallerError):
        return 413 if error.code == "body_too_large" else 422
    if isinstance(error, BoundaryError):
        return 503 if error.transient else 502
    return 500


async def _object(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise CallerError(f"the request body may hold {MAX_BODY_BYTES} bytes", code="body_too_large")
    try:
        data = orjson.loads(bytes(body))
    except orjson.JSONDecodeError:
        raise CallerError("the request body is not JSON in UTF-8", code="invalid_json") from None
    if not isinstance(data, dict):
        raise CallerError("the request body must be a JSON object", code="invalid_json")
    return data


async def _carried_out(tools: Tools, request: Request, wanted: ToolRequest) -> Response:
    call = asyncio.create_task(tools.call(wanted))
    gone = asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait((call, gone), return_when=asyncio.FIRST_COMPLETED)
        if not call.done():
            return Response(status_code=_CLIENT_CLOSED)
        return Response(encode(call.result()), media_type="application/json")
    finally:
        for task in (call, gone):
            task.cancel()
        await asyncio.gather(call, gone, return_exceptions=True)


async def _hung_up(request: Request) -> None:
    try:
        while (await request.receive())["type"] != "http.disconnect":
            pass
    except ClientDisconnect:
        return
