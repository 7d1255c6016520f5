"""Problem documents (RFC 9457): the one table of HTTP statuses, and how an error becomes an answer.

Owns: which status each error code and class has, titles, the document's form. Refuses to know: why it went wrong;
nothing of an unexpected error's text is shown. Used by the routes' error handlers and by `gateway.border`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
from starlette.responses import Response

from literesearcher import errors
from literesearcher.gateway.openai_errors import OPENAI_PATHS, error_object

MEDIA_TYPE = "application/problem+json"

STATUS_BY_CODE: dict[str, int] = {
    # The request as HTTP.
    "bad_request": 400,
    "invalid_utf8": 400,
    "invalid_json": 400,
    "key_missing": 401,
    "key_invalid": 401,
    "cross_site": 403,
    "route_not_found": 404,
    "model_not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "request_timeout": 408,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "misdirected_request": 421,
    # The request as a wish.
    "invalid_request": 422,
    "idempotency_key_reused": 422,
    "unauthorized": 401,
    "not_found": 404,
    "conflict": 409,
    "budget_spent": 429,
    "queue_full": 429,
    "too_many_requests": 429,
    # The store.
    "store_unreachable": 503,
    "store_full": 507,
    "store_corrupt": 500,
    "lease_lost": 503,
    "sequence_conflict": 503,
    "durability": 500,
    "unfoldable_event": 500,
    # The engine, where a route asks it something.
    "prompt_too_long": 422,
    "dependency_failed": 502,
    "engine_unreachable": 503,
    "engine_timeout": 504,
    "engine_busy": 503,
    "replica_leaving": 503,
    "engine_error": 502,
    "engine_garbage": 502,
    "engine_rejected": 502,
    "engine_unauthorized": 502,
    # The raw model, where a request is passed on to it.
    "model_refused": 400,
    "context_length_exceeded": 400,
    "unsupported_field": 400,
    "no_language_model": 503,
    # This program.
    "not_ready": 503,
    "configuration": 500,
    "internal_error": 500,
    "error": 500,
}
"""HTTP status by error code."""

STATUS_BY_CLASS: dict[type[errors.LiteResearcherError], int] = {
    errors.LiteResearcherError: 500,
    errors.CallerError: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Unauthorized: 401,
    errors.BudgetSpent: 429,
    errors.QueueFull: 429,
    errors.BoundaryError: 502,
    errors.PromptTooLong: 422,
    errors.CallLost: 503,
    errors.ReplicaLeaving: 503,
    errors.DamagedEvent: 500,
    errors.DurabilityError: 500,
    errors.LeaseLost: 503,
    errors.SequenceConflict: 503,
    errors.UnfoldableEvent: 500,
    errors.ConfigurationError: 500,
}
"""HTTP status of an error whose code has no entry of its own: its nearest class decides."""

CODE_BY_STATUS: dict[int, str] = {404: "route_not_found", 405: "method_not_allowed", 400: "bad_request"}
"""Code of an answer that the router gives by itself."""

RETRY_AFTER_SECONDS = 2
"""What a 429 or 503 asks for where nobody named a time."""

_HIDDEN = (errors.ConfigurationError, errors.DurabilityError)
"""Errors whose message is for the operator, not for a caller."""


_TIMED = (errors.BoundaryError, errors.BudgetSpent, errors.QueueFull)
"""Errors that may say when to try again."""


class InvalidFields(errors.CallerError):
    """Several fields may be wrong at once: `details` are (field, message) pairs, the first of them is `field`."""

    def __init__(self, details: Sequence[tuple[str, str]]) -> None:
        field, message = details[0]
        super().__init__(f"{field}: {message}" if field else message, field=field or None)
        self.details = tuple(details)


def status_of(error: errors.LiteResearcherError) -> int:
    """The HTTP status of an error: by its code, else by its nearest class."""
    if error.code in STATUS_BY_CODE:
        return STATUS_BY_CODE[error.code]
    return next(STATUS_BY_CLASS[cls] for cls in type(error).__mro__ if cls in STATUS_BY_CLASS)


def problem(
    code: str,
    detail: str,
    *,
    status: int,
    path: str,
    field: str | None = None,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document, or on OPENAI_PATHS what OpenAI's clients read. `path` is the request's decoded path;
    `errors` are `{"field", "message"}` objects."""
    if path in OPENAI_PATHS:
        said = orjson.dumps(error_object(code, detail, status=status, param=field))
        return Response(said, status_code=status, headers=dict(headers or {}), media_type="application/json")
    body: dict[str, Any] = {
        "type": f"urn:literesearcher:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": quote(path[:500], safe="/:@!$&'()*+,;=~-._", errors="replace"),
        "code": code,
    }
    if field is not None:
        body["field"] = field
    if errors:
        body["errors"] = list(errors)
    return Response(orjson.dumps(body), status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def problem_of(error: errors.LiteResearcherError, *, path: str) -> Response:
    """The answer to an error of the tree, with the headers that its status asks for."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if status == 401:
        challenge = 'Bearer realm="literesearcher"'
        headers["WWW-Authenticate"] = challenge + (', error="invalid_token"' if error.code == "key_invalid" else "")
    if status in (429, 503):
        wait = error.retry_after if isinstance(error, _TIMED) else None
        headers["Retry-After"] = str(max(1, math.ceil(wait)) if wait is not None else RETRY_AFTER_SECONDS)
    if error.code == "no_language_model":
        # OpenAI's clients would try again by themselves, for nothing.
        headers["X-Should-Retry"] = "false"
    detail = "The server could not do this; its log says why." if isinstance(error, _HIDDEN) else error.message
    field = error.field if isinstance(error, errors.CallerError) else None
    return problem(
        error.code,
        detail,
        status=status,
        path=path,
        field=field,
        errors=[{"field": name, "message": message} for name, message in _wrong_fields(error)],
        headers=headers,
    )


def _wrong_fields(error: errors.LiteResearcherError) -> Sequence[tuple[str, str]]:
    if isinstance(error, InvalidFields):
        return error.details
    if isinstance(error, errors.CallerError) and error.field is not None:
        return [(error.field, error.message)]
    return []


def unexpected(*, path: str) -> Response:
    """The answer to an error that nobody foresaw: nothing of it is shown."""
    detail = "Something unexpected happened in the server; its log says what."
    return problem("internal_error", detail, status=500, path=path)
