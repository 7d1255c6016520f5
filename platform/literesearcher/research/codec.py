"""Events to and from JSON. A field that an old writer did not know takes its default; a field that this program does
not know is let be (a newer writer of the same version may add some); an unknown type or version is `UnfoldableEvent`.
A field that holds what no writer wrote there is a `ValueError` (`field_types`).

Strings are valid Unicode (no lone surrogates): the borders that let text in see to that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from literesearcher.errors import UnfoldableEvent
from literesearcher.research import events as ev
from literesearcher.research.field_types import FieldTypes
from literesearcher.research.messages import Limits, Sampling, Usage
from literesearcher.research.tool_options import SourcePolicy, ToolOptions

_NESTED_TYPES = (ev.ToolItem, ev.ToolTry, ev.JobUsage, ev.Citation, Sampling, Limits, Usage, SourcePolicy, ToolOptions)
_FIELDS = {cls: FieldTypes.of(cls) for cls in (*ev.EVENT_TYPES, *_NESTED_TYPES)}
_BY_KEY: dict[tuple[str, int], type[Any]] = {(cls.type, cls.version): cls for cls in ev.EVENT_TYPES}


def encode(event: ev.Event) -> bytes:
    """The payload as UTF-8 JSON."""
    return orjson.dumps(event)


def decode(type_: str, version: int, payload: dict[str, Any]) -> ev.Event:
    """The event of a payload that `encode` wrote (this version's or an older one's). ValueError for a payload that no
    writer wrote: the store that it comes from is damaged."""
    cls = _BY_KEY.get((type_, version))
    if cls is None:
        raise UnfoldableEvent(f"event {type_} version {version} was written by a newer version of the program")
    try:
        return _event(cls, payload)
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        raise ValueError(f"a damaged {type_} event: {error}") from error


def _event(cls: type[Any], payload: dict[str, Any]) -> ev.Event:
    nested = {
        name: build(payload[name]) for name, build in _NESTED.get(cls, {}).items() if payload.get(name) is not None
    }
    event: ev.Event = _known(cls, payload | nested if nested else payload)
    return event


def _known(cls: type[Any], value: dict[str, Any]) -> Any:
    return cls(**_FIELDS[cls].checked(value))


def _sampling(value: dict[str, Any]) -> Sampling:
    stop = value.get("stop")
    sampling: Sampling = _known(Sampling, value | {"stop": tuple(stop)} if isinstance(stop, list) else value)
    return sampling


def _usage(value: dict[str, Any]) -> Usage:
    usage: Usage = _known(Usage, value)
    return usage


def _items(value: list[dict[str, Any]]) -> list[ev.ToolItem]:
    return [_item(item) for item in _list("items", value)]


def _item(value: dict[str, Any]) -> ev.ToolItem:
    nested: dict[str, Any] = {}
    if value.get("usage"):
        nested["usage"] = _usage(value["usage"])
    if value.get("tried"):
        nested["tried"] = [_known(ev.ToolTry, tried) for tried in _list("tried", value["tried"])]
    item: ev.ToolItem = _known(ev.ToolItem, value | nested if nested else value)
    return item


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list")
    return value


def tool_options(value: dict[str, Any]) -> ToolOptions:
    """The options that `orjson.dumps` wrote; also their form between the tool proxy's client and its server."""
    sources = value.get("sources") or {}
    lists = {name: tuple(item) for name, item in sources.items() if isinstance(item, list)}
    options: ToolOptions = _known(ToolOptions, value | {"sources": _known(SourcePolicy, sources | lists)})
    return options


_NESTED: dict[type[Any], dict[str, Callable[[Any], Any]]] = {
    ev.JobCreated: {"sampling": _sampling, "limits": lambda value: _known(Limits, value), "tools": tool_options},
    ev.TurnCompleted: {"sampling": _sampling, "usage": _usage},
    ev.ToolCompleted: {"items": _items},
    ev.JobEnded: {
        "usage": lambda value: _known(ev.JobUsage, value),
        "citations": lambda value: [_known(ev.Citation, item) for item in _list("citations", value)],
    },
}
