"""Settings as the environment names that would give them: the form in which they travel to other processes.

Owns: the text of each value, and which of them hold a secret. Refuses to know: who reads them. `settings.load` is the
way back. A value that equals its default does not travel.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

import orjson
from pydantic import SecretStr

from literesearcher.settings.model import Settings
from literesearcher.settings.names import known


def plain_environment(settings: Settings, places: Collection[str]) -> dict[str, str]:
    """Name and value of the settings of these places: `section`, `section.field`, or "" for those that stand in no
    section. Without secrets."""
    return {
        name: text
        for name, section, field, text, secret in _given(settings)
        if not secret and (section in places or f"{section}.{field}" in places)
    }


def secret_environment(settings: Settings) -> dict[str, str]:
    """Name and value of every secret that is set. For the environment of processes, never for a file or a screen."""
    return {name: text for name, _, _, text, secret in _given(settings) if secret}


def _given(settings: Settings) -> list[tuple[str, str, str, str, bool]]:
    found = []
    for name, setting in known().items():
        holder: Any = getattr(settings, setting.section) if setting.section else settings
        value = getattr(holder, setting.field)
        if value is None or (setting.section and value == setting.info.get_default(call_default_factory=True)):
            continue
        secret = setting.secret or _has_password(value)
        found.append((name, setting.section or "", setting.field, _text(value), secret))
    return found


def _has_password(value: Any) -> bool:
    """A URL may hold one, though it need not: before the host, or among its parameters."""
    if not isinstance(value, str) or "://" not in value:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return True
    return parts.password is not None or bool(parts.query)


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    return str(value)
