"""Reading what providers send as JSON: objects or a failure that says who sent garbage, texts that are valid Unicode.

Owns: the reading. Refuses to know: any provider's fields.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

import orjson

from literesearcher.errors import BoundaryError
from literesearcher.reading.unicode_text import valid_unicode

_TAG = re.compile(r"</?[A-Za-z][^<>]*>")


def garbage(provider: str, told: str) -> BoundaryError:
    """What was sent is not what the provider documents; another try may do better."""
    return BoundaryError(f"{provider} sent {told}", code="provider_garbage", transient=True)


def json_object(provider: str, body: bytes) -> dict[str, Any]:
    """The object. `BoundaryError` `provider_garbage` for anything else."""
    data = _loaded(body)
    if data is None:
        raise garbage(provider, "no JSON")
    if not isinstance(data, dict):
        raise garbage(provider, "no JSON object")
    return data


def refusal_object(body: bytes) -> dict[str, Any]:
    """The object of an error's body, empty where there is none: the status has to do."""
    data = _loaded(body)
    return data if isinstance(data, dict) else {}


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # The standard reader takes what orjson refuses, such as lone surrogates, which `text` replaces.
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None


def objects(provider: str, items: object) -> list[dict[str, Any]]:
    """The objects of a list; what is no object is left out. `BoundaryError` for what is no list."""
    if not isinstance(items, list):
        raise garbage(provider, "results of an unknown shape")
    return [item for item in items if isinstance(item, dict)]


def text(value: object) -> str | None:
    """A value as text, None where there is none."""
    return None if value is None else valid_unicode(str(value))


def plain(value: object) -> str | None:
    """Text that came with HTML tags and entities, without them."""
    found = text(value)
    return None if found is None else valid_unicode(html.unescape(_TAG.sub("", found)))
