"""What OpenAPI says of the raw model's operations, whose refusals have OpenAI's form.

Owns: words for readers of the API. Refuses to know: what the routes do. Neighbours: `operations`, `documents`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from literesearcher.gateway.documents import ModelList, OpenAIErrorDocument
from literesearcher.gateway.openai_errors import error_object
from literesearcher.gateway.operations import ALWAYS, PROBLEMS, answer

_ERRORS = PROBLEMS | {
    404: ("model_not_found", "there is no model of that name: /v1/models lists the one there is"),
    422: ("invalid_request", "temperature: the field is given twice"),
    429: ("too_many_requests", "16 requests may be under way at once"),
    503: ("no_language_model", "there is no language model behind this server"),
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{OpenAIErrorDocument.__name__}"},
                    "example": error_object(*_ERRORS[status], status=status),
                }
            },
        }
        for status in sorted({*statuses, *ALWAYS})
    }


MODELS: dict[str, Any] = {
    "summary": "The engine behind the gateway",
    "operation_id": "listModels",
    "responses": {
        200: answer(
            ModelList,
            "One model.",
            {
                "object": "list",
                "data": [
                    {
                        "id": "extractive",
                        "object": "model",
                        "created": 0,
                        "owned_by": "literesearcher",
                        "engine": "extractive",
                        "context_length": 131072,
                        "language_model": False,
                        "description": "No language model. This engine answers with the passage that scores best.",
                    }
                ],
            },
        )
    }
    | _errors(401, 502, 503, 504),
}


def _passed(operation: str, summary: str, request: dict[str, Any], said: dict[str, Any], event: str) -> dict[str, Any]:
    """An operation whose body is the model server's to judge, and whose answer is the model server's."""
    whole = {"id": "1", "model": "LiteResearcher-4B", "choices": [{"index": 0, "finish_reason": "stop", **said}]}
    return {
        "summary": summary,
        "operation_id": operation,
        "description": "Passed on to the model server as it is sent, every sampling field of its own with it "
        "(`top_k`, `min_p`, `repetition_penalty`, ...), and answered with what it answers.",
        "responses": {
            200: {
                "description": "What the model server answered; with `stream: true` as server-sent events.",
                "content": {
                    "application/json": {"schema": {"type": "object"}, "example": whole},
                    "text/event-stream": {
                        "schema": {"type": "string"},
                        "example": f"data: {event}\n\ndata: [DONE]\n\n",
                    },
                },
            }
        }
        | _errors(400, 401, 404, 408, 413, 415, 422, 429, 502, 503, 504),
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["model"],
                            "properties": {"model": {"type": "string"}},
                            "additionalProperties": True,
                        },
                        "example": request,
                    }
                },
            }
        },
    }


_SAMPLING = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "presence_penalty": 1.1, "max_tokens": 1024}

CHAT: dict[str, Any] = _passed(
    "createChatCompletion",
    "A chat completion of the raw model",
    {"model": "LiteResearcher-4B", "messages": [{"role": "user", "content": "Who?"}]} | _SAMPLING,
    {"message": {"role": "assistant", "content": "<think>"}},
    '{"id":"1","choices":[{"index":0,"delta":{"content":"<think>"}}]}',
)
COMPLETION: dict[str, Any] = _passed(
    "createCompletion",
    "A text completion of the raw model",
    {"model": "LiteResearcher-4B", "prompt": "<|im_start|>user\n"} | _SAMPLING,
    {"text": "<think>"},
    '{"id":"1","choices":[{"index":0,"text":"<think>"}]}',
)
