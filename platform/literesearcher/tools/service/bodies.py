"""From a request's bytes to a JSON object: size, time, UTF-8, JSON, and no field twice, each refusal with its place.

Owns: reading bodies for the tool proxy's HTTP service. Refuses to know: routes, what fields mean (`wire_form`).
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
from starlette.requests import Request

from literesearcher.errors import CallerError

MAX_BODY_BYTES = 2_000_000
BODY_SECONDS = 30.0
"""Time for a whole body to arrive."""
_DROPPED_BYTES = 16_000_000
"""So much of a body that is too long is read and dropped: a connection that is closed on unread bytes is reset, and
the answer lost with it."""
_SHOWN_CHARACTERS = 200


async def read_object(request: Request, *, seconds: float = BODY_SECONDS) -> dict[str, Any]:
    """The body as an object. `CallerError` with code `request_timeout`, `body_too_large`, `invalid_utf8`,
    `invalid_json` (with the position), or naming the field that came twice."""
    raw = await _read(request, seconds)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CallerError(f"the body is not UTF-8: byte {error.start} is wrong", code="invalid_utf8") from None
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise CallerError(
            f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})", code="invalid_json"
        ) from None
    if not isinstance(data, dict):
        raise CallerError("the body must be a JSON object", code="invalid_json")
    _refuse_twice(raw)
    return data


async def _read(request: Request, seconds: float) -> bytes:
    body = bytearray()
    length = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                length += len(chunk)
                if length <= MAX_BODY_BYTES:
                    body += chunk
                elif length > _DROPPED_BYTES:
                    break
    except TimeoutError:
        raise CallerError("the body took too long to arrive", code="request_timeout") from None
    if length > MAX_BODY_BYTES:
        raise CallerError(f"the body may hold {MAX_BODY_BYTES} bytes", code="body_too_large")
    return bytes(body)


def _refuse_twice(raw: bytes) -> None:
    """One reader takes the first of two fields and another the last: what was checked may not be what is done."""

    def members(pairs: list[tuple[str, object]]) -> None:
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                field = name[:_SHOWN_CHARACTERS]
                raise CallerError(f"the field {field!r} is given twice", field=field)
            names.add(name)

    try:
        json.loads(raw, object_pairs_hook=members)
    except RecursionError:
        raise CallerError("the body is nested too deep", code="invalid_json") from None
