"""What a reader says of a page beside its text: where it was found in the end, its language, its day.

Owns: reading such values from whoever declares them, hostile pages included. Refuses to know: who asks.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime

_LANGUAGE = re.compile(r"\s*([A-Za-z]{2})(?:[-_][A-Za-z0-9-_]+)?\s*")
_DAY = re.compile(r"\s*([0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9])")
_MAX_CHARACTERS = 8192


def final_url(value: object) -> str | None:
    """An http or https URL, None for anything else."""
    if not isinstance(value, str) or len(value) > _MAX_CHARACTERS or not value.isprintable():
        return None
    url = value.strip()
    return url if url.lower().startswith(("http://", "https://")) else None


def language(value: object) -> str | None:
    """The ISO 639-1 code of `en`, `en-US`, `zh_CN`."""
    found = _LANGUAGE.fullmatch(value) if isinstance(value, str) else None
    return found[1].lower() if found else None


def day(value: object) -> str | None:
    """YYYY-MM-DD of an ISO or an HTTP date."""
    if not isinstance(value, str):
        return None
    iso = _DAY.match(value)
    try:
        if iso:
            return date.fromisoformat(iso[1]).isoformat()
        found: datetime = parsedate_to_datetime(value)
        return (found.astimezone(UTC) if found.tzinfo else found).date().isoformat()
    except (TypeError, ValueError, OverflowError):
        return None
