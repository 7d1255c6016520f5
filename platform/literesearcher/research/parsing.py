"""Reads what the model wrote, forgivingly: never raises, whatever the text.

Owns: which part of a turn is thought, call or answer, and the repair of slips in a call's JSON.
Refuses to know: which tools exist, what happens next. A strict path comes first; repair runs only where it fails.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

import json_repair
import orjson

from literesearcher.research.messages import ToolCall

TOOL_RESPONSE = "<tool_response>"
LONGEST_CALL = 16_384
"""Characters of a call that repair looks at; repairing junk costs 6 ms a thousand."""
DEEPEST = 40
"""Brackets nested deeper than this are junk: no call of the two tools nests more than three."""
_FENCE = re.compile(r"^```[\w-]*\s*\n?(.*?)\n?\s*```$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ParsedTurn:
    """One turn, read. At most one of `call` and `answer`; `broken_call`: a call stands there that no repair reads."""

    thought: str
    call: ToolCall | None = None
    answer: str | None = None
    broken_call: bool = False


def parse_turn(text: str, *, opened_thought: bool = False) -> ParsedTurn:
    """Read a turn. `opened_thought`: the text begins inside a thought; found out from the text where it shows.

    A turn with both call and answer is an answer. Only the first call counts. What follows the first
    `<tool_response>` outside the thought was made up by the model and is dropped.
    """
    thought, rest = _split_thought(text, opened_thought)
    cut = rest.find(TOOL_RESPONSE)
    if cut >= 0:
        rest = rest[:cut]
    answer = _between(rest, "<answer>", "</answer>")
    if answer is not None:
        return ParsedTurn(thought, answer=answer.strip())
    body = _between(rest, "<tool_call>", "</tool_call>")
    if body is None:
        return ParsedTurn(thought)
    call = read_call(body)
    return ParsedTurn(thought, call=call, broken_call=call is None)


def _split_thought(text: str, opened: bool) -> tuple[str, str]:
    """(thought, what follows it). Tags inside the thought are text."""
    start = text.lstrip()
    if start.startswith("<think>"):
        start, opened = start[len("<think>") :], True
    end = start.rfind("</think>")
    if end >= 0 and (opened or "<think>" not in start[:end]):
        first = start.find("</think>")
        return _closing(start, first)
    if end >= 0:
        # Text stands before the thought; what stands before it is part of it.
        return _closing(start, start.find("</think>"))
    if not opened:
        return "", text
    # A thought that was never closed: a call or an answer that ends the text was still meant as one.
    for tag in ("<answer>", "<tool_call>"):
        at = start.rfind("\n" + tag)
        if at >= 0:
            return start[:at].strip(), start[at:]
    return start.strip(), ""


def _closing(text: str, at: int) -> tuple[str, str]:
    return text[:at].replace("<think>", "", 1).strip(), text[at + len("</think>") :]


def _between(text: str, opening: str, closing: str) -> str | None:
    start = text.find(opening)
    if start < 0:
        return None
    start += len(opening)
    end = text.find(closing, start)
    return text[start:] if end < 0 else text[start:end]


def read_call(body: str) -> ToolCall | None:
    """The call in the text between the tags, None where nothing can be made of it."""
    text = body.strip()
    try:
        return _as_call(orjson.loads(text))
    except orjson.JSONDecodeError:
        pass
    fenced = _FENCE.match(text)
    if fenced:
        text = fenced.group(1).strip()
    start = text.find("{")
    if start < 0 or len(text) > LONGEST_CALL or _depth(text) > DEEPEST:
        return None
    text = text[start:]
    for read in (_strict, _python, _repaired):
        call = _as_call(read(text))
        if call is not None:
            return call
    return None


def _strict(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _python(text: str) -> Any:
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
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    return ToolCall(name, _plain(arguments))


def _plain(value: Any) -> Any:
    """Only what JSON holds: Python literals may bring tuples, sets, bytes or keys that are no strings."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    return str(value).encode("utf-8", "replace").decode()


def _depth(text: str) -> int:
    deepest = depth = 0
    for char in text:
        if char in "{[(":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "}])":
            depth -= 1
    return deepest
