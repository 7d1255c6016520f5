"""Puts the gateway together: routes, border, problem documents, OpenAPI.

Owns: the order of the layers. Refuses to know: which store or engine it was given; sockets (`gateway.serving`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from literesearcher.engine.port import EngineInfo
from literesearcher.gateway import event_routes, model_routes, research_routes, service_routes, usage_routes
from literesearcher.gateway.auth import Doors
from literesearcher.gateway.border import Border
from literesearcher.gateway.console import page_files
from literesearcher.gateway.context import Gateway
from literesearcher.gateway.openapi import describe
from literesearcher.gateway.problems import CODE_BY_STATUS, InvalidFields, problem, problem_of
from literesearcher.gateway.raw_model.port import RawModel
from literesearcher.gateway.stream import StreamPace
from literesearcher.jobs.live import Live
from literesearcher.jobs.ports import Store
from literesearcher.research.prompts import Prompts
from literesearcher.settings.model import Settings
from literesearcher.timing.clock import Clock


def create_app(
    *,
    store: Store,
    live: Live,
    settings: Settings,
    prompts: Prompts,
    clock: Clock,
    engine_info: Callable[[], Awaitable[EngineInfo]],
    raw_model: RawModel,
    pace: StreamPace | None = None,
) -> FastAPI:
    """The gateway as an ASGI application. `app.state.closing` is an `asyncio.Event`: once set, long answers end.
    `raw_model` stays the caller's to close."""
    gateway = Gateway(
        store=store,
        live=live,
        settings=settings,
        prompts=prompts,
        clock=clock,
        engine_info=engine_info,
        doors=Doors(store, settings),
        pace=pace or StreamPace(),
        raw_model=raw_model,
    )
    # No docs pages: they would load scripts from elsewhere. No redirects: they would be made from the Host header.
    app = FastAPI(docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.closing = gateway.closing
    groups = [
        research_routes.router(gateway),
        event_routes.router(gateway),
        usage_routes.router(gateway),
        model_routes.router(gateway),
        service_routes.router(gateway),
        page_files.router(),
    ]
    for group in groups:
        app.include_router(group)
    describe(app)

    def allowed(request: Request) -> str:
        scope = {**request.scope, "method": "OPTIONS"}
        methods = {
            method
            for group in groups
            for route in group.routes
            if route.matches(scope)[0] is not Match.NONE
            for method in getattr(route, "methods", ())
        }
        return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set()) | {"OPTIONS"}))

    async def routing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers = {"Allow": allowed(request)}
            if request.method == "OPTIONS":
                return Response(status_code=204, headers=headers)
        code = CODE_BY_STATUS.get(error.status_code, "bad_request")
        detail = {404: "there is no such route", 405: f"{request.method} is not for this path"}
        return problem(
            code,
            detail.get(error.status_code, str(error.detail)),
            status=error.status_code,
            path=request.url.path,
            headers=headers,
        )

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        details = [(".".join(str(part) for part in one["loc"][1:]), str(one["msg"])) for one in error.errors()]
        return problem_of(InvalidFields(details), path=request.url.path)

    app.add_exception_handler(HTTPException, routing)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_middleware(Border, gateway=settings.gateway)
    return app
