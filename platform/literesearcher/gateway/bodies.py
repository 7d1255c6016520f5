"""From bytes to a wish: UTF-8, JSON and schema, each refusal with its place.

Owns: reading POST bodies and naming what is wrong in them. Refuses to know: routes, what a job is made of.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from literesearcher.errors import CallerError
from literesearcher.gateway.problems import InvalidFields

_EMPTY = "application/octet-stream"
"""What some clients say of a body that they do not send. No page's form can say it."""

W = TypeVar("W", bound=BaseModel)

_SHOWN_ERRORS = 20
_SHOWN_CHARACTERS = 200
_INLINE_BYTES = 65_536
"""A longer body's names are looked through in a thread."""


def check_json_type(request: Request, *, body_required: bool) -> None:
    """A POST carries application/json or, where the route needs no body, nothing at all. Else 415: what a page's form
    can send is refused by its type."""
    kinds = request.headers.getlist("content-type")
    empty = request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers
    if not body_required and empty and kinds in ([], [_EMPTY]):
        return
    media, _, parameters = (kinds[0] if len(kinds) == 1 else "").partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if media.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise CallerError(
            "send Content-Type: application/json (in UTF-8)", code="unsupported_media_type", field="Content-Type"
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise CallerError(
            "send the body without a Content-Encoding", code="unsupported_media_type", field="Content-Encoding"
        )


async def read_wish(request: Request, wish: type[W]) -> W:
    """The body as a `wish`. CallerError with code `invalid_utf8`, `invalid_json` (with the position), or
    InvalidFields."""
    raw, value = await _read_json(request)
    try:
        found = wish.model_validate(value)
    except ValidationError as error:
        raise InvalidFields(_details(error)) from None
    _check_names(raw)
    return found


async def read_object(request: Request) -> tuple[bytes, dict[str, Any]]:
    """The body as it came, and the JSON object that it is; closed to no field. Errors as those of `read_wish`."""
    raw, value = await _read_json(request)
    if not isinstance(value, dict):
        raise CallerError("the body must be a JSON object", code="bad_request")
    if len(raw) > _INLINE_BYTES:
        await asyncio.to_thread(_check_names, raw)
    else:
        _check_names(raw)
    return raw, value


async def _read_json(request: Request) -> tuple[bytes, Any]:
    check_json_type(request, body_required=True)
    raw = await request.body()
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CallerError(f"the body is not UTF-8: byte {error.start} is wrong", code="invalid_utf8") from None
    try:
        return raw, orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise CallerError(
            f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})", code="invalid_json"
        ) from None


def _check_names(raw: bytes) -> None:
    """Refuse JSON that names a field twice: one reader takes the first and another the last, so that what was checked
    before the request came here may not be what is done."""

    def members(pairs: list[tuple[str, object]]) -> None:
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                raise InvalidFields([(name[:_SHOWN_CHARACTERS], "the field is given twice")])
            names.add(name)

    try:
        json.loads(raw, object_pairs_hook=members)
    except RecursionError:
        raise CallerError("the body is nested too deep", code="invalid_json") from None


def _details(error: ValidationError) -> list[tuple[str, str]]:
    shown = error.errors(include_url=False, include_context=False, include_input=False)[:_SHOWN_ERRORS]
    return [(_field(one["loc"]), _message(one)) for one in shown]


def _field(place: tuple[int | str, ...]) -> str:
    name = ".".join(str(part) for part in place if part != "[key]")
    return name[:_SHOWN_CHARACTERS]


def _message(one: Any) -> str:
    if one["type"] == "extra_forbidden":
        return "there is no such field"
    if one["type"] == "value_error":
        return str(one["msg"]).removeprefix("Value error, ")
    return str(one["msg"])[:_SHOWN_CHARACTERS]
