"""Reading the extractor's JSON out of what a model wrote, as forgivingly as it can be read without inventing.

Owns: thoughts, code fences, prose around the object, broken JSON. Refuses to know: engines, pages.
What parses as it stands is taken as it stands, so that evidence holding fences or tags is not damaged.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import json_repair
import orjson

from literesearcher.reading.unicode_text import valid_unicode
from literesearcher.research.outside_text import restored

_OPENING = re.compile(r"""\{\s*"(?:rational|evidence|summary)"\s*:""")
_OPENINGS = 50
_DECODER = json.JSONDecoder(strict=False)
_REPAIR_CHARACTERS = 200_000
_REPAIR_BRACKETS = 2_000
"""Beyond these repair takes seconds, for output that is no extraction."""
_INLINE_CHARACTERS = 20_000
"""Repair of longer output takes tenths of a second: in a thread, so that no other call waits on it."""


async def extraction_of(text: str) -> dict[str, str] | None:
    """As `read_extraction`, without holding up the event loop."""
    if len(text) <= _INLINE_CHARACTERS:
        return read_extraction(text)
    return await asyncio.to_thread(read_extraction, text)


def read_extraction(text: str) -> dict[str, str] | None:
    """`rational`, `evidence`, `summary`, or None where there is no object with the last two.

    A value that is not a string is rendered by `str`, as the published code did.
    """
    candidates = _candidates(text)
    for candidate in candidates:
        for load in (orjson.loads, _lenient):
            found = _fields(load, candidate)
            if found is not None:
                return found
    embedded = next(_embedded(text), None)
    if embedded is not None:
        return embedded
    for candidate in candidates:
        found = _fields(_repaired, candidate)
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


def _embedded(text: str) -> Iterator[dict[str, str]]:
    """Sound objects anywhere in the text, the last first, and after a thought before those inside: a thought that was
    opened and never closed holds drafts, braces of its own, and the object at last."""
    start = text.rfind("</think>")
    openings = [found.start() for found in islice(_OPENING.finditer(text), _OPENINGS)]
    for at in sorted(openings, key=lambda at: (at < start, -at)):
        found = _fields(_leading, text[at:])
        if found is not None:
            yield found


def _leading(text: str) -> Any:
    return _DECODER.raw_decode(text)[0]


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
