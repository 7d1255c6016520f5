"""A request to the raw model, as it came: what has to be known of it before it is passed on.

Owns: which model it names, how many generations it is, and the fields that are the model server's own and no caller's.
The body itself stays as it was sent, to the byte. Refuses to know: sampling fields (the model server judges them),
connections. Below: `gateway.bodies`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from literesearcher.errors import CallerError, NotFound
from literesearcher.gateway.bodies import read_object

SERVER_FIELDS = frozenset(
    {
        # Names of requests and sessions: one could end, or read on in, another tenant's.
        "rid",
        "request_id",
        "session_id",
        "session_params",
        "conversation_id",
        # Place in the server's line, which jobs and their operator decide.
        "priority",
        # Code, weights and addresses of other servers that a request would have the server load or call.
        "custom_logit_processor",
        "logits_processors",
        "lora_path",
        "bootstrap_host",
        "bootstrap_port",
        "bootstrap_room",
        "kv_transfer_params",
        "vllm_xargs",
        "data_parallel_rank",
        "routed_dp_rank",
        "disagg_prefill_dp_rank",
    }
)
"""Fields of SGLang's and vLLM's own that reach beyond the request that holds them."""
_MANY = 2**31
TRUSTED_FIELDS = SERVER_FIELDS - {"priority"}
"""The same for the platform's own callers, which say what comes first."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """`raw`: the body as it came; `body`: what it says; `weight`: generations that it asks for."""

    raw: bytes
    body: dict[str, Any]
    model: str
    weight: int


async def read_call(request: Request, *, refused: frozenset[str] = SERVER_FIELDS) -> ModelCall:
    """The call. CallerError for what is no JSON object, names no model, or holds a field of the server's own."""
    raw, body = await read_object(request)
    for name in body:
        if name in refused:
            raise CallerError(f"{name} is the server's own and cannot be asked for", code="bad_request", field=name)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise CallerError("name the model, as /v1/models lists it", code="bad_request", field="model")
    return ModelCall(raw, body, model, _weight(body))


def unknown_model() -> NotFound:
    """Nobody is passed on to another model than the one named."""
    return NotFound(
        "there is no model of that name: /v1/models lists the one there is", code="model_not_found", field="model"
    )


def _weight(body: dict[str, Any]) -> int:
    each = max(_count(body, "n"), _count(body, "best_of"))
    prompt = body.get("prompt")
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], list | str):
        return each * len(prompt)
    return each


def _count(body: dict[str, Any], name: str) -> int:
    """Model servers take 8.0 for 8, and "8" too: what is passed on to them uncounted would be beyond the bound."""
    value = body.get(name)
    if value is None:
        return 1
    if not isinstance(value, int | float):
        raise CallerError(f"{name} must be a whole number", code="bad_request", field=name)
    return max(1, min(math.ceil(value), _MANY))
