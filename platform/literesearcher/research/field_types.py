"""What each field of a journalled value may hold in JSON, worked out once from the class.

Owns: types of fields, bounds of numbers, the words for what is wrong. Refuses to know: which value is nested in which
(`codec`). A journal that somebody wrote into must not have a text multiplied or a sum overflow far from here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

MAX_NUMBER = 1e15
"""No instant, duration or amount is larger, and sums of so many millionths are still numbers."""


@dataclasses.dataclass(frozen=True, slots=True)
class FieldTypes:
    """Of one class. `known` has every field; `numbers` those with bounds, `parts` lists and objects of one type."""

    known: dict[str, frozenset[type]]
    numbers: tuple[tuple[str, float], ...]
    parts: tuple[tuple[str, Callable[[Any], bool]], ...]

    @classmethod
    def of(cls, target: type[Any]) -> FieldTypes:
        """From the annotations of a dataclass."""
        hints = get_type_hints(target)
        names = [field.name for field in dataclasses.fields(target)]
        return cls(
            known={name: frozenset(_types(hints[name])) for name in names},
            numbers=tuple((name, _least(name)) for name in names if float in _types(hints[name])),
            parts=tuple((name, sound) for name in names if (sound := _parts(name, hints[name])) is not None),
        )

    def checked(self, value: dict[str, Any]) -> dict[str, Any]:
        """Those fields that are known. `ValueError` names one that holds what it cannot hold."""
        found = {}
        for name, item in value.items():
            types = self.known.get(name)
            if types is not None:
                if type(item) not in types:
                    raise ValueError(f"{name} is {_named(item)}")
                found[name] = item
        for name, least in self.numbers:
            number = found.get(name)
            if number is not None and not least <= number <= MAX_NUMBER:
                raise ValueError(f"{name} is {number!r}")
        for name, sound in self.parts:
            item = found.get(name)
            if item and not sound(item):
                raise ValueError(f"{name} holds what it cannot hold")
        return found


def _least(name: str) -> float:
    """What was paid is not below nothing."""
    return 0.0 if name.endswith("_usd") or name == "prices" else -MAX_NUMBER


def _named(item: Any) -> str:
    return "null" if item is None else f"a {type(item).__name__}"


def _types(hint: Any) -> set[type]:
    """Exact types as JSON gives them, or as `codec` made them."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return set().union(*(_types(one) for one in get_args(hint)))
    if origin is Literal:
        return {type(one) for one in get_args(hint)}
    if origin in (list, tuple):
        return {list, tuple}
    if hint is float:
        return {int, float}
    plain: type = origin or hint
    return {plain}


def _parts(name: str, hint: Any) -> Callable[[Any], bool] | None:
    """Is every part of a list or an object of the type that it has to be? None where anything goes: what `codec` makes
    part by part, free JSON, and lists of numbers, of which a turn has thousands and which nobody adds up."""
    if get_origin(hint) in (Union, UnionType):
        (hint,) = [one for one in get_args(hint) if one is not NoneType]
    keyed = get_origin(hint) is dict
    if not keyed and get_origin(hint) not in (list, tuple):
        return None
    part = get_args(hint)[keyed]
    if part is Any or dataclasses.is_dataclass(part) or (part is float and not keyed):
        return None
    types, least = frozenset(_types(part)), _least(name)

    def sound(item: Any) -> bool:
        parts = item.values() if keyed else item
        if not types.issuperset(map(type, parts)):
            return False
        return float not in types or least <= min(parts) <= max(parts) <= MAX_NUMBER

    return sound
