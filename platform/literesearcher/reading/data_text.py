"""JSON and XML laid out for a reader: feeds as lists of entries, other XML as an outline, JSON on lines of its own.

Every word and number stays as it was written. Refuses to know: where the text came from, charsets. What cannot be read
for what it looks like is left as it is.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from literesearcher.reading.feed_text import feed_text, json_feed_text
from literesearcher.reading.unicode_text import valid_unicode
from literesearcher.reading.xml_text import outline, tree

_SMALL = 1_000
"""JSON up to this length is read as it is."""
_LINE = 120
"""What has no object or array inside and is no longer than this stands on one line."""
_DEPTH = 40
"""Nested deeper than this, JSON is left as it is."""
_LINE_OF_LAID_OUT = 200
"""JSON with a line end in so many characters was laid out by its author."""


class _Pairs(list[tuple[str, Any]]):
    """An object with its names in order, twice where they stand twice."""


class _Literal(str):
    """A number as it was written."""


def looks_like_data(text: str) -> bool:
    """Does it begin as JSON or XML do? Cheap, and no promise."""
    head = text[:1024].lstrip("\ufeff \t\r\n")
    return head.startswith(("{", "[", "<?xml", "<rss", "<feed", "<rdf:RDF"))


def readable_data(text: str) -> str | None:
    """The same laid out, None where it is to be read as it is."""
    text = text.strip("\ufeff \t\r\n")
    if text.startswith("<"):
        root = tree(text)
        if root is None or root.name.lower() == "html":
            return None
        return feed_text(root) or outline(root) or None
    if not text.startswith(("{", "[")):
        return None
    try:
        value = json.loads(text, object_pairs_hook=_Pairs, parse_int=_Literal, parse_float=_Literal)
        if isinstance(value, _Pairs):
            feed = json_feed_text(_dictionaries(value))
            if feed is not None:
                return valid_unicode(feed)
        if len(text) <= _SMALL or text.count("\n") * _LINE_OF_LAID_OUT >= len(text):
            return None
        lines: list[str] = []
        _write(value, 0, "", lines)
        return valid_unicode("\n".join(lines))
    except (ValueError, RecursionError):
        return None


def _dictionaries(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {key: _dictionaries(item) for key, item in value}
    if isinstance(value, list):
        return [_dictionaries(item) for item in value]
    return value


def _write(value: Any, depth: int, name: str, lines: list[str], comma: str = "") -> None:
    """Appends the lines of a value that stands behind `name`."""
    indent = "  " * depth
    if not isinstance(value, list):
        lines.append(f"{indent}{name}{_scalar(value)}{comma}")
        return
    if depth > _DEPTH:
        raise ValueError("nested too deep for a reader")
    paired = isinstance(value, _Pairs)
    opening, closing = ("{", "}") if paired else ("[", "]")
    items = [(f"{_scalar(item[0])}: ", item[1]) if paired else ("", item) for item in value]
    if not any(isinstance(item, list) for _, item in items):
        flat = f"{opening}{', '.join(label + _scalar(item) for label, item in items)}{closing}"
        if len(flat) <= _LINE:
            lines.append(f"{indent}{name}{flat}{comma}")
            return
    lines.append(f"{indent}{name}{opening}")
    for number, (label, item) in enumerate(items, start=1):
        _write(item, depth + 1, label, lines, "," if number < len(items) else "")
    lines.append(f"{indent}{closing}{comma}")


def _scalar(value: Any) -> str:
    if isinstance(value, _Literal):
        return str(value)
    if isinstance(value, str):
        try:
            return orjson.dumps(value).decode()
        except orjson.JSONEncodeError:  # half a surrogate pair
            return json.dumps(value)
    return json.dumps(value)
