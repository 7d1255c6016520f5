"""What OpenAPI says of each operation: summaries, and the problems it can answer with.

Owns: words for readers of the API. Refuses to know: what the routes do. Neighbours: `documents`, `examples`,
`model_operations` (the raw model's).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from literesearcher.gateway.documents import (
    EventPage,
    JobList,
    JobObject,
    ProblemDocument,
    ServiceStatus,
    UsageOfDay,
)
from literesearcher.gateway.examples import EVENT, JOB_COMPLETED, JOB_QUEUED, REQUESTS, USAGE_OF_DAY

_SSE = (
    'id: 3\nevent: turn.started\ndata: {"id":3,"object":"research.event",…}\n\n'
    'event: turn.delta\ndata: {"object":"research.delta","job":"…","type":"turn.delta","turn":1,"attempt":1,'
    '"offset":0,"text":"<think>"}\n\n'
)
_NDJSON = '{"id":3,"object":"research.event",…}\n{"object":"research.delta","type":"turn.delta",…}\n'

PROBLEMS = {
    400: ("invalid_json", "the body is not JSON: unexpected end of data (line 1, column 12)"),
    401: ("key_missing", "send an API key: `Authorization: Bearer lr_ID_SECRET`"),
    403: ("cross_site", "a page of another site may not use this server"),
    404: ("not_found", "there is no such job"),
    406: ("not_acceptable", "events come as text/event-stream, application/x-ndjson, application/json"),
    408: ("request_timeout", "the request body took too long to arrive"),
    413: ("body_too_large", "the request body may hold 2097152 bytes"),
    415: ("unsupported_media_type", "send Content-Type: application/json (in UTF-8)"),
    421: ("misdirected_request", "this server does not answer to that Host"),
    422: ("invalid_request", "limits.max_turns: Input should be less than or equal to 1000"),
    429: ("budget_spent", "the day's budget for tool calls is spent (50 of 50 USD); the next day begins at 00:00 UTC"),
    500: ("internal_error", "Something unexpected happened in the server; its log says what."),
    502: ("engine_error", "the model server answered 500"),
    503: ("store_unreachable", "the job store does not answer"),
    504: ("engine_timeout", "the engine did not answer in time"),
    507: ("store_full", "the disk of the job store is full"),
}
"""Code and detail that stand for a status in the examples."""
ALWAYS = (400, 403, 421, 500)
"""What every operation may answer, as the outermost layer decides."""


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"},
                    "example": {
                        "type": f"urn:literesearcher:problem:{PROBLEMS[status][0]}",
                        "title": HTTPStatus(status).phrase,
                        "status": status,
                        "detail": PROBLEMS[status][1],
                        "instance": "/v1/research",
                        "code": PROBLEMS[status][0],
                    },
                }
            },
        }
        for status in sorted({*statuses, *ALWAYS})
    }


def answer(model: type, description: str, example: object, **more: Any) -> dict[str, Any]:
    """A successful answer: its document, what it means, and one of them."""
    return {"model": model, "description": description, "content": {"application/json": {"example": example}}} | more


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _request_header(name: str, description: str, example: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "description": description, "schema": schema, "example": example}


_APPLIED = _header("`wait=N` with the seconds granted.")
_LOCATION = _header("The job's path.")
_REPLAYED = _header("`true` where the idempotency key was known: this is the first job.")

CREATE: dict[str, Any] = {
    "summary": "Create a research job",
    "operation_id": "createResearch",
    "description": "Answers after the job is committed. The same Idempotency-Key with the same body gives the same "
    "job for 24 hours, with another body 422.",
    "responses": {
        202: answer(
            JobObject, "Committed.", JOB_QUEUED, headers={"Location": _LOCATION, "Idempotency-Replayed": _REPLAYED}
        ),
        200: answer(
            JobObject,
            "With `Prefer: wait=N`: the job ended within that time.",
            JOB_COMPLETED,
            headers={"Location": _LOCATION, "Preference-Applied": _APPLIED},
        ),
    }
    | _problems(400, 401, 408, 413, 415, 422, 429, 503, 507),
    "openapi_extra": {
        "parameters": [
            _request_header("Idempotency-Key", "1 to 255 visible ASCII characters.", "order-4711"),
            _request_header("Prefer", "`wait=N`: wait up to N seconds (at most 300) for the end.", "wait=30"),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/ResearchWish"},
                    "examples": REQUESTS,
                }
            },
        },
    },
}
LIST: dict[str, Any] = {
    "summary": "List jobs, newest first",
    "operation_id": "listResearch",
    "description": "Filters may be put together. A page of a search by `text` looks through the newest few thousand "
    "jobs only: it may hold fewer than `limit`, even none, and `next_cursor` goes on from there.",
    "responses": {200: answer(JobList, "A page.", {"object": "list", "data": [JOB_COMPLETED], "next_cursor": None})}
    | _problems(401, 422, 503),
}
GET: dict[str, Any] = {
    "summary": "Look a job up",
    "operation_id": "getResearch",
    "responses": {200: answer(JobObject, "The job.", JOB_COMPLETED)} | _problems(401, 404, 422, 503),
}
CANCEL: dict[str, Any] = {
    "summary": "Cancel a job",
    "operation_id": "cancelResearch",
    "description": "A job that has ended stays as it is.",
    "responses": {
        202: answer(JobObject, "The worker was told.", JOB_QUEUED | {"status": "cancelling"}),
        200: answer(JobObject, "The job has ended.", JOB_COMPLETED | {"status": "cancelled"}),
    }
    | _problems(401, 404, 415, 422, 503, 507),
}
DELETE: dict[str, Any] = {
    "summary": "Delete a job and everything about it",
    "operation_id": "deleteResearch",
    "description": "A running job is stopped first.",
    "responses": {204: {"description": "It is gone."}} | _problems(401, 404, 422, 503),
}
EVENTS: dict[str, Any] = {
    "summary": "Follow a job, or read its journal",
    "operation_id": "researchEvents",
    "description": "By `Accept`: `text/event-stream` or `application/x-ndjson` follow the job to its end, with live "
    "text in between; `application/json` is a page of the journal. `Last-Event-ID` or `after` re-joins anywhere.",
    "responses": {
        200: answer(
            EventPage,
            "The events.",
            {"object": "list", "data": [EVENT], "next_after": 2, "ended": False},
        )
    }
    | _problems(401, 404, 406, 422, 503),
    "openapi_extra": {
        "parameters": [_request_header("Last-Event-ID", "Number of the last event that was seen.", "2")],
    },
}
EVENTS["responses"][200]["content"] |= {
    "text/event-stream": {"schema": {"type": "string"}, "example": _SSE},
    "application/x-ndjson": {"schema": {"type": "string"}, "example": _NDJSON},
}
USAGE: dict[str, Any] = {
    "summary": "What was spent on tools today",
    "operation_id": "getUsage",
    "responses": {
        200: answer(
            UsageOfDay,
            "Calls and money of the day (UTC), and what they may come to.",
            USAGE_OF_DAY,
        )
    }
    | _problems(401, 422, 503),
}
LIVE: dict[str, Any] = {
    "summary": "Is the process alive?",
    "operation_id": "livez",
    "responses": {200: answer(ServiceStatus, "It is.", {"status": "live"})} | _problems(),
}
READY: dict[str, Any] = {
    "summary": "Can it take jobs?",
    "operation_id": "readyz",
    "responses": {200: answer(ServiceStatus, "The store answers.", {"status": "ready"})} | _problems(503),
}
