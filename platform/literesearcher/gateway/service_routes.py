"""/v1/models, /livez and /readyz: what stands behind the gateway, and whether it can work.

Owns: what these answer. `/livez` asks nobody; `/readyz` asks the store, and is 503 whatever keeps it from
taking jobs; neither wants a key.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Depends
from starlette.responses import Response

from literesearcher.engine.port import EngineInfo
from literesearcher.errors import BoundaryError
from literesearcher.gateway import operations
from literesearcher.gateway.context import Gateway, json_response

_STORE_SECONDS = 3.0
_ENGINE_SECONDS = 15.0
_NO_MODEL = (
    "No language model. This engine reads the question, searches, visits the best pages and answers with the passage "
    "that scores best; no language model writes its texts."
)
_MODEL = "A language model that searches and reads pages until it can answer."


def router(gateway: Gateway) -> APIRouter:
    """The routes over one gateway."""
    tenant_of = Depends(gateway.tenant_of)
    routes = APIRouter(tags=["service"])

    @routes.get("/v1/models", dependencies=[tenant_of], **operations.MODELS)
    async def list_models() -> Response:
        try:
            async with asyncio.timeout(_ENGINE_SECONDS):
                info = await gateway.engine_info()
        except TimeoutError:
            raise BoundaryError("the engine did not answer in time", code="engine_timeout", transient=True) from None
        return json_response({"object": "list", "data": [_model(info)]})

    @routes.get("/livez", **operations.LIVE)
    async def livez() -> Response:
        return json_response({"status": "live"})

    @routes.get("/readyz", **operations.READY)
    async def readyz() -> Response:
        if gateway.closing.is_set():
            raise BoundaryError("the server is closing", code="not_ready", transient=True)
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await gateway.store.check()
        except TimeoutError:
            raise BoundaryError("the job store does not answer", code="store_unreachable", transient=True) from None
        except BoundaryError as error:
            if error.code != "store_full":
                raise
            raise BoundaryError(error.message, code="not_ready", transient=True) from error
        return json_response({"status": "ready"})

    return routes


def _model(info: EngineInfo) -> dict[str, object]:
    return {
        "id": info.model,
        "object": "model",
        "created": 0,
        "owned_by": "literesearcher",
        "engine": info.kind,
        "context_length": info.context_length,
        "language_model": info.language_model,
        "description": _MODEL if info.language_model else _NO_MODEL,
    }
