"""What a page's markup declares of the page: its language, the day it was published.

Refuses to know: what the text says, policies. A fact is None where the markup is silent or says what is no such fact.
"""

from __future__ import annotations

import re
from datetime import date

_HEAD_CHARACTERS = 200_000
_LANGUAGE = (
    re.compile(r"""<html\b[^<>]{0,2000}?\b(?:xml:)?lang\s*=\s*["']?\s*([a-z]{2,3})\b""", re.IGNORECASE),
    re.compile(r"""content-language["']?\s+content\s*=\s*["']?\s*([a-z]{2,3})\b""", re.IGNORECASE),
    re.compile(r"""["']og:locale["']\s+content\s*=\s*["']?\s*([a-z]{2,3})\b""", re.IGNORECASE),
    re.compile(r"""<(?:feed|rss|rdf:rdf)\b[^<>]{0,2000}?\bxml:lang\s*=\s*["']\s*([a-z]{2,3})\b""", re.IGNORECASE),
    re.compile(r"<(?:dc:)?language>\s*([a-z]{2,3})\b", re.IGNORECASE),
)
_DAY = r"(\d{4}-\d{2}-\d{2})"
_PUBLISHED = (
    re.compile(rf"""["']article:published_time["']\s+content\s*=\s*["']?\s*{_DAY}""", re.IGNORECASE),
    re.compile(rf"""["']datePublished["']\s*:\s*["']\s*{_DAY}"""),
    re.compile(rf"""["'](?:date|dc\.date(?:\.issued)?|pubdate)["']\s+content\s*=\s*["']?\s*{_DAY}""", re.IGNORECASE),
    re.compile(rf"""itemprop\s*=\s*["']datePublished["']\s+(?:content|datetime)\s*=\s*["']?\s*{_DAY}""", re.IGNORECASE),
)  # fmt: skip


def language_of(source: str) -> str | None:
    """ISO 639-1, such as `en`."""
    code = _first(_LANGUAGE, source)
    return code.lower() if code and len(code) == 2 else None


def published_of(source: str) -> str | None:
    """YYYY-MM-DD."""
    found = _first(_PUBLISHED, source)
    try:
        return date.fromisoformat(found).isoformat() if found else None
    except ValueError:
        return None


def _first(signs: tuple[re.Pattern[str], ...], source: str) -> str | None:
    head = source[:_HEAD_CHARACTERS]
    return next((found[1] for sign in signs if (found := sign.search(head))), None)
