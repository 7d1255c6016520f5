"""Problem documents (RFC 9457) of the tool proxy's HTTP service: which status an error has, and what is shown of it.

Owns: the statuses and the document's form, the gateway's own. Refuses to know: routes, why it went wrong.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from literesearcher.errors import BoundaryError, CallerError, LiteResearcherError

_STATUS_BY_CODE = {
    "invalid_json": 400,
    "invalid_utf8": 400,
    "request_timeout": 408,
    "body_too_large": 413,
}
_RETRY_AFTER_SECONDS = 2
"""What a 503 asks for where the dependency named no time of its own."""


def document(status: int, code: str, detail: str, *, field: str | None = None) -> dict[str, Any]:
    """The document as an object."""
    body: dict[str, Any] = {
        "type": f"urn:literesearcher:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if field is not None:
        body["field"] = field
    return body


def problem(status: int, code: str, detail: str, *, headers: dict[str, str] | None = None) -> Response:
    """An answer that is a problem document."""
    return _answer(document(status, code, detail), headers)


def document_of(error: LiteResearcherError) -> dict[str, Any]:
    """The document of an error of the tree."""
    if isinstance(error, CallerError):
        status, field = _STATUS_BY_CODE.get(error.code, 422), error.field
        return document(status, error.code, error.message.removeprefix("Error: "), field=field)
    if isinstance(error, BoundaryError):
        return document(503 if error.transient else 502, error.code, error.message)
    return document(500, error.code, "the tool proxy could not do this; its log says why")


def problem_of(error: LiteResearcherError) -> Response:
    """The answer to an error of the tree."""
    body = document_of(error)
    headers: dict[str, str] = {}
    if body["status"] == 503:
        wait = error.retry_after if isinstance(error, BoundaryError) else None
        headers["Retry-After"] = str(_RETRY_AFTER_SECONDS if wait is None else max(1, math.ceil(wait)))
    return _answer(body, headers)


def _answer(body: dict[str, Any], headers: dict[str, str] | None) -> Response:
    return Response(
        orjson.dumps(body), status_code=body["status"], headers=headers, media_type="application/problem+json"
    )
