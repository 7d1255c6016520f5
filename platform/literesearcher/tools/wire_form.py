"""JSON forms of a tool call and its result, as they travel between the proxy's server and its client.

Owns: both directions, so that what arrives equals what was sent. Refuses to know: HTTP.
"""

from __future__ import annotations

from typing import Any, cast

import orjson

from literesearcher.errors import CallerError
from literesearcher.research import codec
from literesearcher.research.events import ToolCompleted
from literesearcher.research.messages import Profile
from literesearcher.tools.port import Ask, ToolRequest, ToolResult

MAX_TIMEOUT_SECONDS = 3600.0


def encode(value: ToolRequest | ToolResult) -> bytes:
    """UTF-8 JSON, field by field; the ask's fields stand beside the call's."""
    if isinstance(value, ToolRequest):
        ask = value.ask
        return orjson.dumps(
            {
                "name": value.name,
                "arguments": value.arguments,
                "job_id": ask.job_id,
                "tenant_id": ask.tenant_id,
                "profile": ask.profile,
                "timeout_seconds": ask.timeout_seconds,
            }
        )
    return orjson.dumps(value)


def decode_request(data: dict[str, Any]) -> ToolRequest:
    """A request that `encode` wrote, or one that somebody typed. `CallerError` names the field at fault."""
    unknown = data.keys() - {"name", "arguments", "job_id", "tenant_id", "profile", "timeout_seconds"}
    if unknown:
        raise CallerError(f"unknown field {min(unknown)!r}", field=min(unknown))
    if not isinstance(data.get("name"), str):
        raise CallerError("name must be a string", field="name")
    if not isinstance(data.get("arguments"), dict):
        raise CallerError("arguments must be an object", field="arguments")
    for name in ("job_id", "tenant_id"):
        if not isinstance(data.get(name, ""), str):
            raise CallerError(f"{name} must be a string", field=name)
    profile = data.get("profile", "inference")
    if profile not in ("inference", "training"):
        raise CallerError("profile must be `inference` or `training`", field="profile")
    timeout = data.get("timeout_seconds", 600.0)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= MAX_TIMEOUT_SECONDS:
        raise CallerError(
            f"timeout_seconds must be a number above 0 and at most {MAX_TIMEOUT_SECONDS:g}", field="timeout_seconds"
        )
    return ToolRequest(
        name=data["name"],
        arguments=data["arguments"],
        ask=Ask(
            job_id=data.get("job_id", ""),
            tenant_id=data.get("tenant_id", ""),
            profile=cast(Profile, profile),
            timeout_seconds=float(timeout),
        ),
    )


def decode_result(body: bytes) -> ToolResult:
    """A result that `encode` wrote; ValueError, KeyError or TypeError for anything else."""
    data = orjson.loads(body)
    # The journal's codec already knows how items are read, with fields that only one side knows.
    payload = {"turn": 0, "name": "", "arguments": {}, "text": data["text"], "items": data["items"]}
    event = codec.decode(ToolCompleted.type, ToolCompleted.version, payload)
    if not isinstance(event, ToolCompleted) or not isinstance(event.text, str):
        raise ValueError("not a tool result")
    return ToolResult(event.text, event.items, float(data["elapsed_seconds"]))
