"""JSON forms of a tool call, its terms and its result, as they travel between the proxy's server and its client.

Owns: both directions, so that what arrives equals what was sent, and that a wrong field is named. Refuses to know:
HTTP, what the arguments of a tool must be (`arguments`), which source policies there are (`jobs.tool_wishes`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, cast, get_args

import orjson

from literesearcher.errors import CallerError
from literesearcher.jobs.tool_wishes import source_policy
from literesearcher.research import codec
from literesearcher.research.events import ToolCompleted
from literesearcher.research.messages import Profile
from literesearcher.research.tool_options import FIDELITIES, CacheMode, SourcePolicy
from literesearcher.tools.port import Ask, ToolRequest, ToolResult

MAX_TIMEOUT_SECONDS = 3600.0
TERMS = frozenset(field.name for field in fields(Ask))
"""Names of the fields that stand beside a call's own."""
_MAX_ID_CHARACTERS = 200


def encode(value: ToolRequest | ToolResult) -> bytes:
    """UTF-8 JSON, field by field; the ask's fields stand beside the call's."""
    if isinstance(value, ToolRequest):
        terms = {name: getattr(value.ask, name) for name in TERMS}
        return orjson.dumps({"name": value.name, "arguments": value.arguments} | terms)
    return orjson.dumps(value)


def decode_request(data: dict[str, Any]) -> ToolRequest:
    """A request that `encode` wrote, or one that somebody typed. `CallerError` names the field at fault."""
    refuse_unknown(data, {"name", "arguments"} | TERMS)
    if not isinstance(data.get("name"), str):
        raise CallerError("name must be a string", field="name")
    if not isinstance(data.get("arguments"), dict):
        raise CallerError("arguments must be an object", field="arguments")
    return ToolRequest(name=data["name"], arguments=data["arguments"], ask=decode_ask(data))


def decode_ask(data: dict[str, Any]) -> Ask:
    """The terms among the fields of a body; what is not there has its default."""
    given = {name: read(name, data[name]) for name, read in _READERS.items() if name in data}
    return Ask(**given)


def decode_result(body: bytes) -> ToolResult:
    """A result that `encode` wrote; ValueError, KeyError or TypeError for anything else."""
    data = orjson.loads(body)
    # The journal's codec already knows how items are read, with fields that only one side knows.
    payload = {"turn": 0, "name": "", "arguments": {}, "text": data["text"], "items": data["items"]}
    event = codec.decode(ToolCompleted.type, ToolCompleted.version, payload)
    if not isinstance(event, ToolCompleted) or not isinstance(event.text, str):
        raise ValueError("not a tool result")
    return ToolResult(event.text, event.items, float(data["elapsed_seconds"]))


def refuse_unknown(data: dict[str, Any], names: set[str] | frozenset[str]) -> None:
    """`CallerError` for a field that is none of these: a misspelt limit must not pass for no limit."""
    unknown = data.keys() - names
    if unknown:
        field = min(unknown)[:_MAX_ID_CHARACTERS]
        raise CallerError(f"there is no field {field!r}", field=field)


def _identity(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_ID_CHARACTERS:
        raise CallerError(f"{name} must be a string of at most {_MAX_ID_CHARACTERS} characters", field=name)
    return value


def _one_of(*allowed: str) -> Callable[[str, Any], str]:
    def read(name: str, value: Any) -> str:
        if value not in allowed:
            raise CallerError(f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}", field=name)
        return cast(str, value)

    return read


def _fidelity(name: str, value: Any) -> str | None:
    return None if value is None else _one_of(*FIDELITIES)(name, value)


def _timeout(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_TIMEOUT_SECONDS:
        raise CallerError(f"{name} must be a number above 0 and at most {MAX_TIMEOUT_SECONDS:g}", field=name)
    return float(value)


def _pages_read(name: str, value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not all(type(count) is int and count >= 0 for count in value.values()):
        raise CallerError(f"{name} must be an object of page counts by name of a site", field=name)
    return value


def _sources(name: str, value: Any) -> SourcePolicy:
    return source_policy(value, where=name)


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "job_id": _identity,
    "tenant_id": _identity,
    "profile": _one_of(*get_args(Profile)),
    "timeout_seconds": _timeout,
    "cache": _one_of(*get_args(CacheMode)),
    "sources": _sources,
    "fidelity": _fidelity,
    "pages_read": _pages_read,
}
