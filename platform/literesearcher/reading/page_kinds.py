"""What stands in front of a page, told from its text and its source.

Owns: how many signs of the table in `page_signs` it takes. Conservative: a wall is short, so a long text is always a
page, and below that it takes signs that agree. Refuses to know: where a page came from, what becomes of a wall.
"""

from __future__ import annotations

import re
from typing import Literal

from literesearcher.reading import page_signs as signs

PageKind = Literal["page", "paywall", "consent", "captcha", "script_only"]
"""What a fetched body is: a page, or what stands in front of one."""

_LONG = 20_000
"""So long is no wall, and nobody looks further."""
_SOURCE_CHARACTERS = 400_000
_BRIEF = 500
"""A text under this length is not worth reading anyway: there one sign is enough."""
_CAPTCHA_CHARACTERS, _CONSENT_CHARACTERS, _SCRIPT_LETTERS = 2_000, 4_000, 200
_CONSENT_REST = 300
"""Letters that a consent page may have besides what it says of consent."""
_LOCKED_ALONE, _LOCKED_AND_SAID, _SAID_TWICE, _SAID_ONCE = 2_000, 6_000, 4_000, 1_500

_LINK_TARGET = re.compile(r"\]\([^()\s]{0,2000}\)")
_READER_HEAD = re.compile(r"\A.{0,4000}?^Markdown Content:\s*$", re.DOTALL | re.MULTILINE | re.IGNORECASE)
"""Jina Reader's own lines before the page's text."""


def kind_of_page(text: str, title: str | None = None, *, source: str = "") -> PageKind:
    """The kind, by the page's text (Markdown) and, where it is at hand, the HTML it came from."""
    if len(text) > _LONG:
        return "page"
    said = _LINK_TARGET.sub("]", text).strip()
    low = said.lower().replace("\u2019", "'").replace("\u00a0", " ")
    head = (title or "").strip().lower().replace("\u2019", "'")
    body = _READER_HEAD.sub("", low, count=1).strip()
    source = source[:_SOURCE_CHARACTERS]
    markup = source.lower()
    if _is_captcha(body, low, head, markup):
        return "captcha"
    if _is_consent(body, head):
        return "consent"
    if _is_script_only(body, markup):
        return "script_only"
    if _is_paywall(body, source):
        return "paywall"
    return "page"


def _is_captcha(body: str, whole: str, title: str, markup: str) -> bool:
    if len(body) > _CAPTCHA_CHARACTERS:
        return False
    weight = 2.0 * _count(markup, signs.CAPTCHA_SOURCE) + 0.5 * _count(markup, signs.CAPTCHA_WIDGETS)
    weight += _count(whole, signs.CAPTCHA_TEXT) + min(1, _count(title, signs.CAPTCHA_TITLES))
    return weight >= (1 if len(body) < _BRIEF else 2)


def _is_consent(body: str, title: str) -> bool:
    if len(body) > _CONSENT_CHARACTERS:
        return False
    if not _count(f"{title}\n{body}", signs.CONSENT_STATEMENTS) or not _count(body, signs.CONSENT_BUTTONS):
        return False
    rest = "".join(line for line in body.splitlines() if not signs.CONSENT_WORDS.search(line))
    return sum(map(str.isalnum, rest)) <= _CONSENT_REST


def _is_script_only(body: str, markup: str) -> bool:
    asked = _count(body, signs.SCRIPT_TEXT)
    if sum(map(str.isalnum, body)) > _SCRIPT_LETTERS:
        # A reader's text of such a page: what the app says to those without scripts, and little else.
        return bool(asked) and len(body) < _BRIEF
    if asked:
        return True
    if not signs.SCRIPT_TAG.search(markup):
        return False
    return bool(signs.SHELL.search(markup)) or bool("<noscript" in markup and _count(markup, signs.SCRIPT_TEXT))


def _is_paywall(body: str, source: str) -> bool:
    size = len(body)
    if size > _LOCKED_AND_SAID:
        return False
    said, offers = _count(body, signs.PAYWALL_TEXT), _count(body, signs.PAYWALL_OFFERS)
    if signs.LOCKED.search(source) and size <= (_LOCKED_AND_SAID if said else _LOCKED_ALONE):
        return True
    if not said:
        return False
    return size <= (_SAID_TWICE if said + offers > 1 else _SAID_ONCE)


def _count(text: str, table: tuple[str, ...]) -> int:
    return sum(sign in text for sign in table) if text else 0
