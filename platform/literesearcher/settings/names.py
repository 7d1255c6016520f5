"""The environment names of every setting: one table, made from the sections, so that code and docs cannot disagree.

Owns: `LITERESEARCHER_<SECTION>__<FIELD>`, the published project's names that stand for some of them, what to
say of a name that does not exist. Refuses to know: values. Above: `settings.load`, the doctor, the settings reference.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from literesearcher.settings.model import Settings
from literesearcher.settings.sections import Section

PREFIX = "LITERESEARCHER_"
TEST_PREFIX = "LITERESEARCHER_TEST_"
"""Names of the tests' own; known, and ignored by the program."""

PUBLISHED = {
    "SERPER_KEY_ID": "LITERESEARCHER_SERPER__API_KEY",
    "SCRAPEDO_API_KEY": "LITERESEARCHER_SCRAPEDO__API_KEY",
    "JINA_API_KEY": "LITERESEARCHER_JINA__API_KEY",
    "SGLANG_API_BASE": "LITERESEARCHER_ENGINE__BASE_URL",
}
"""Names of the published inference code, and ours that they stand for; ours win."""

_ALIKE = 0.75
"""Ratio of `difflib` from which two names pass for each other: a letter or an underscore too many or too few, not
another word."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its environment name, its place (`section` None for the top), and what kind of value it takes."""

    name: str
    section: str | None
    field: str
    info: FieldInfo

    @property
    def secret(self) -> bool:
        """Is the value never to be shown?"""
        return SecretStr in _parts(self.info.annotation)

    @property
    def listed(self) -> bool:
        """Is the value a JSON list?"""
        return any(get_origin(part) is list for part in _parts(self.info.annotation))

    @property
    def mapped(self) -> bool:
        """Is the value a JSON object?"""
        return any(get_origin(part) is dict for part in _parts(self.info.annotation))


def _parts(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (UnionType, Union) else (annotation,)


def _settings() -> Iterator[Setting]:
    for top, info in Settings.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            for field, inner in kind.model_fields.items():
                yield Setting(f"{PREFIX}{top.upper()}__{field.upper()}", top, field, inner)
        else:
            yield Setting(f"{PREFIX}{top.upper()}", None, top, info)


@cache
def known() -> dict[str, Setting]:
    """Every setting by its environment name, in the order of the sections."""
    return {setting.name: setting for setting in _settings()}


def way_out(name: str) -> str:
    """What to say of a name that does not exist: the nearest one, and where none is near also where all are.

    Where the section exists, only its own names can be meant.
    """
    section, separator, field = name.upper().removeprefix(PREFIX).partition("__")
    fields = [setting.field.upper() for setting in known().values() if setting.section == section.lower()]
    if separator and fields:
        near, alike = _nearest(field, fields)
        rest = "" if alike else f"; {PREFIX}{section}__ goes on with one of {', '.join(fields)}"
        return f"the nearest name is {PREFIX}{section}__{near}{rest}"
    endings = [known_name.removeprefix(PREFIX) for known_name in known()]
    near, alike = _nearest(section + separator + field, endings)
    rest = "" if alike else "; docs/reference/settings.md lists the names there are"
    return f"the nearest name is {PREFIX}{near}{rest}"


def _nearest(name: str, names: list[str]) -> tuple[str, bool]:
    [near] = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    return near, difflib.SequenceMatcher(None, near, name).ratio() >= _ALIKE
