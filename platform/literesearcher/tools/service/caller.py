"""The caller at the other end of a request: when it hangs up, what is done for it is cancelled.

Owns: watching both at once. Refuses to know: what is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

T = TypeVar("T")

CLIENT_CLOSED = 499


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work gives, None where the caller left first. The request's body has been read."""
    working = asyncio.create_task(work)
    gone = asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


def nobody_there() -> Response:
    """An answer that nobody reads; access logs do."""
    return Response(status_code=CLIENT_CLOSED)


async def _hung_up(request: Request) -> None:
    try:
        while (await request.receive())["type"] != "http.disconnect":
            pass
    except ClientDisconnect:
        return
