"""The tool proxy as an HTTP service of its own: `literesearcher tools serve`.

Owns: the routes, their forms. Refuses to know: how a tool is carried out; who may call is `access`, bodies are
`bodies`, what a refusal looks like is `problems`, the published project's shapes are
`published`. Below: anything that implements `tools.port.Tools`. A caller that hangs up cancels its call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from literesearcher.errors import LiteResearcherError
from literesearcher.research.tool_options import Fidelity
from literesearcher.tools.arguments import SCHEMAS, usable
from literesearcher.tools.port import ToolRequest, Tools
from literesearcher.tools.service.access import Access
from literesearcher.tools.service.batch import batch_calls, carried_out
from literesearcher.tools.service.bodies import read_object
from literesearcher.tools.service.caller import nobody_there, while_connected
from literesearcher.tools.service.problems import problem, problem_of
from literesearcher.tools.service.published import published_routes
from literesearcher.tools.service.wire_form import TERMS, decode_ask, decode_request, encode, refuse_unknown

RequestOf = Callable[[dict[str, Any]], ToolRequest]
_ARGUMENTS = {"search": ("query",), "visit": ("url", "goal")}


def create_app(
    tools: Tools,
    *,
    token: SecretStr | None = None,
    fidelity: Fidelity = "improved",
    published_prefix: str = "/published",
) -> FastAPI:
    """The application. Without a token it answers loopback callers only. `tools` stays its owner's to close.

    `fidelity` is what the proxy is set to, for `GET /v1/tools`. `ConfigurationError` for a prefix that cannot be.
    """
    app = FastAPI(title="LiteResearcher tools", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Access, token=token)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/tools")
    async def described() -> dict[str, Any]:
        """The tools with their argument schemas, what an item of each costs at most in USD, the fidelity in force."""
        schemas = [{"type": "function", "function": schema} for schema in SCHEMAS]
        return {"tools": schemas, "prices": await tools.prices(), "fidelity": fidelity}

    @app.post("/v1/tools/call")
    async def call(request: Request) -> Response:
        """A whole tool call in, its result out; what `tools.service.http_client` speaks. Arguments that the model wrote
        wrong get the text that the model reads."""
        return await _one(request, tools, decode_request)

    for name, arguments in _ARGUMENTS.items():
        _add_tool(app, tools, _typed(name, arguments), name)
    app.include_router(published_routes(tools, published_prefix))

    @app.exception_handler(LiteResearcherError)
    async def attributed(request: Request, error: LiteResearcherError) -> Response:
        return problem_of(error)

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> Response:
        code = "route_not_found" if error.status_code == 404 else "method_not_allowed"
        return problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return problem(500, "internal_error", "the tool proxy failed in a way that it did not foresee")

    return app


def _add_tool(app: FastAPI, tools: Tools, request_of: RequestOf, name: str) -> None:
    """The two routes of a tool: one call, and a batch."""

    async def single(request: Request) -> Response:
        return await _one(request, tools, request_of)

    async def batch(request: Request) -> Response:
        calls = batch_calls(await read_object(request))
        results = await while_connected(request, carried_out(tools, calls, request_of))
        return nobody_there() if results is None else _json(orjson.dumps(results))

    app.add_api_route(f"/v1/tools/{name}", single, methods=["POST"], name=name)
    app.add_api_route(f"/v1/tools/{name}/batch", batch, methods=["POST"], name=f"{name} batch")


def _typed(name: str, arguments: tuple[str, ...]) -> RequestOf:
    """Bodies that hold the tool's arguments and the terms side by side; what is wrong in either is the caller's."""
    names = TERMS | frozenset(arguments)

    def request_of(data: dict[str, Any]) -> ToolRequest:
        refuse_unknown(data, names)
        given = usable(name, {field: data[field] for field in arguments if field in data})
        return ToolRequest(name, given, decode_ask(data))

    return request_of


async def _one(request: Request, tools: Tools, request_of: RequestOf) -> Response:
    wanted = request_of(await read_object(request))
    result = await while_connected(request, tools.call(wanted))
    return nobody_there() if result is None else _json(encode(result))


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
