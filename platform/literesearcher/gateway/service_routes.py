"""/livez and /readyz: whether the gateway can work.

Owns: what these answer. `/livez` asks nobody; `/readyz` asks the store, and is 503 whatever keeps it from
taking jobs; neither wants a key.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from literesearcher.errors import BoundaryError
from literesearcher.gateway import operations
from literesearcher.gateway.context import Gateway, json_response

_STORE_SECONDS = 3.0


def router(gateway: Gateway) -> APIRouter:
    """The routes over one gateway."""
    routes = APIRouter(tags=["service"])

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
