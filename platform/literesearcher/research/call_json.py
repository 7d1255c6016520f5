"""Makes a tool call of what stands between the call's tags: strict JSON first, repair only where that fails.

Owns: JSON5, single quotes, Python literals, trailing commas, code fences, missing brackets; bounds on what repair
looks at; values that the journal can hold. Refuses to know: tags, which tools exist.
"""

from __future__ import annotations

import ast
import math
from typing import Any

import json_repair
import orjson

from literesearcher.research.messages import ToolCall

LONGEST_REPAIR = 4_096
"""Characters of a call that repair looks at: repairing junk costs up to 3 ms a thousand. The longest call of the
published rollouts has 356."""
DEEPEST = 40
"""Brackets nested deeper than this are junk: no call of the two tools nests more than three."""
LONGEST_NAME = 64


def read_call(body: str) -> ToolCall | None:
    """The call, None where nothing can be made of the text."""
    call = read_strict(body)
    if call is not None or len(body) > LONGEST_REPAIR:
        return call
    text = _unfenced(body.strip())
    start = text.find("{")
    if start < 0 or _depth(text) > DEEPEST:
        return None
    text = text[start:]
    for read in (_strict, _python, _repaired):
        call = _as_call(read(text))
        if call is not None:
            return call
    return None


def read_strict(body: str) -> ToolCall | None:
    """The call where the text is plain JSON, else None."""
    return _as_call(_strict(body))


def _unfenced(text: str) -> str:
    if not text.startswith("```"):
        return text
    _, _, inner = text.partition("\n")
    return (inner or text[3:]).rstrip().removesuffix("```")


def _strict(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _python(text: str) -> Any:
    """Python literals, for their tuples. Not where backslashes stand: Python warns of those that it does not know."""
    if "\\" in text:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _repaired(text: str) -> Any:
    try:
        return json_repair.loads(text, skip_json_loads=True)
    except (ValueError, TypeError, IndexError, KeyError, RecursionError, AttributeError):
        return None


def _as_call(value: Any) -> ToolCall | None:
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return None
    name, arguments = value.get("name"), value.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _strict(arguments)
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST_NAME or not isinstance(arguments, dict):
        return None
    try:
        return ToolCall(_text(name.strip()), {_text(str(key)): _plain(item, 1) for key, item in arguments.items()})
    except _TooDeep:
        return None


class _TooDeep(Exception):
    """Strict JSON may nest up to orjson's own bound, which is more than Python's stack holds."""


def _plain(value: Any, depth: int) -> Any:
    """Only what JSON and the journal hold: Python literals may bring tuples, sets, bytes or keys that are no strings,
    JSON escapes may bring NUL and lone surrogates."""
    if depth > DEEPEST:
        raise _TooDeep
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_text(str(key)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    return _text(str(value))


def _text(value: str) -> str:
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _depth(text: str) -> int:
    deepest = depth = 0
    for char in text:
        if char in "{[(":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "}])":
            depth -= 1
    return deepest
