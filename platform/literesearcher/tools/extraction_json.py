"""Reading the extractor's JSON out of what a model wrote, as forgivingly as it can be read without inventing.

Owns: thoughts, code fences, prose around the object, broken JSON. Refuses to know: engines, pages.
What parses as it stands is taken as it stands, so that evidence holding fences or tags is not damaged.
"""

from __future__ import annotations

import json
from typing import Any

import json_repair
import orjson

from literesearcher.reading.unicode_text import valid_unicode
from literesearcher.research.outside_text import restored

_REPAIR_CHARACTERS = 200_000
_REPAIR_BRACKETS = 2_000
"""Beyond these repair takes seconds of the event loop, for output that is no extraction."""


def read_extraction(text: str) -> dict[str, str] | None:
    """`rational`, `evidence`, `summary`, or None where there is no object with the last two.

    A value that is not a string is rendered by `str`, as the published code did.
    """
    for candidate in _candidates(text):
        for load in (orjson.loads, _lenient, _repaired):
            found = _fields(load, candidate)
            if found is not None:
                return found
    return None


def _candidates(text: str) -> list[str]:
    """The whole, then without thoughts, then without what stands around the outermost braces."""
    whole = text.strip()
    spoken = whole.rpartition("</think>")[2].strip()
    found = [whole] if whole.startswith("{") else []
    for part in (spoken, whole):
        start, end = part.find("{"), part.rfind("}")
        if start >= 0:
            # Without a closing brace the output was cut; repair may still close it.
            found.append(part[start : end + 1] if end > start else part[start:])
    return list(dict.fromkeys(found))


def _lenient(text: str) -> Any:
    return json.loads(text, strict=False)


def _repaired(text: str) -> Any:
    if len(text) > _REPAIR_CHARACTERS or text.count("{") + text.count("[") > _REPAIR_BRACKETS:
        return None
    return json_repair.loads(text)


def _fields(load: Any, text: str) -> dict[str, str] | None:
    try:
        value = load(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict) or "evidence" not in value or "summary" not in value:
        return None
    return {
        name: restored(valid_unicode(item if isinstance(item, str) else str(item)))
        for name in ("rational", "evidence", "summary")
        if (item := value.get(name, "")) is not None or name != "rational"
    }
