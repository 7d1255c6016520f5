"""The shapes of the published project's own tool servers, so that its agent runs against this proxy unchanged.

Owns: `POST /search {"query"}`, `POST /browse {"url", "goal"}` and `GET /health` under a prefix, and that the text is
the published one whatever the proxy is set to. Refuses to know: how a tool is carried out, who may call
(`access`). A failure stands in `error`, as it does there: with status 200, or 422 where the request is wrong.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from literesearcher.errors import BoundaryError, CallerError, ConfigurationError
from literesearcher.tools.arguments import usable
from literesearcher.tools.port import Ask, ToolRequest, Tools
from literesearcher.tools.service.bodies import read_object
from literesearcher.tools.service.caller import nobody_there, while_connected

CALL_SECONDS = 290.0
"""The published agent waits 300 s for a tool."""
TENANT = "default"
"""Whose corpora are searched: these shapes name no tenant, and so does nobody who works alone."""
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_ROUTES = (("/search", "search", ("query",)), ("/browse", "visit", ("url", "goal")))


def checked_prefix(prefix: str) -> str:
    """The prefix without a closing slash, "" for the root. `ConfigurationError` where no route can stand under it."""
    trimmed = prefix.rstrip("/")
    if not _PREFIX.fullmatch(trimmed) or trimmed == "/v1" or trimmed.startswith("/v1/"):
        raise ConfigurationError(
            "LITERESEARCHER_TOOLS__PUBLISHED_PREFIX must be a path such as /published, or / for the root, and not /v1"
        )
    return trimmed


def published_routes(tools: Tools, prefix: str) -> APIRouter:
    """The routes; `ConfigurationError` as `checked_prefix`."""
    router = APIRouter(prefix=checked_prefix(prefix))

    @router.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "service": "literesearcher tools"}

    for path, name, fields in _ROUTES:
        router.add_api_route(path, _Shape(tools, name, fields).answer, methods=["POST"], name=name)
    return router


class _Shape:
    """One route."""

    def __init__(self, tools: Tools, name: str, fields: tuple[str, ...]) -> None:
        self._tools = tools
        self._name = name
        self._fields = fields

    async def answer(self, request: Request) -> Response:
        """The tool's text in the published shape. Other fields are let be, as there."""
        try:
            data = await read_object(request)
            arguments = usable(self._name, {field: data[field] for field in self._fields if field in data})
            ask = Ask(tenant_id=TENANT, fidelity="published", timeout_seconds=CALL_SECONDS)
            result = await while_connected(request, self._tools.call(ToolRequest(self._name, arguments, ask)))
        except CallerError as error:
            if error.code in ("body_too_large", "request_timeout"):
                raise
            return _shaped(422, error=error.message.removeprefix("Error: "))
        except BoundaryError as error:
            return _shaped(200, error=error.message)
        if result is None:
            return nobody_there()
        return _shaped(200, text=result.text, seconds=result.elapsed_seconds)


def _shaped(status: int, *, text: str = "", error: str = "", seconds: float = 0.0) -> Response:
    body: dict[str, Any] = {"success": not error, "result": text, "elapsed_ms": seconds * 1000, "error": error}
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")
