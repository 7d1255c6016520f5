"""HTML to Markdown. Linear in the page, which its caller bounds; what the converter gives up on becomes its bare text.

Refuses to know: where the page came from, charsets, threads (a caller with an event loop runs it off the loop). The
converter keeps headings, code and tables, drops navigation and forms, and silently skips what is nested deeper than it
descends.
"""

from __future__ import annotations

import html
import re

from html_to_markdown import (
    ConversionError,
    ConversionOptions,
    PreprocessingOptions,
    PreprocessingPreset,
    convert,
)

from literesearcher.reading.html_bounds import bounded_base, bounded_html
from literesearcher.reading.unicode_text import valid_unicode

_FALLBACK_CHARACTERS = 4_000_000
_TIMES, _FREE_CHARACTERS = 10, 1_000_000
"""Of the Markdown: so often the page's own length and so much more is kept."""
_NEARLY_EMPTY = 200
_WORD = re.compile(r"\w+")
_TAG = re.compile(r"<[^<>]*>")
_SPACES = re.compile(r"[ \t\r\f\v]+")
_BLANK_LINES = re.compile(r"\n\s*\n+")


def html_to_text(source: str, base_url: str | None = None) -> tuple[str, str | None]:
    """Markdown of the page and its title. Links are made absolute by `base_url`."""
    source = valid_unicode(source)
    markdown, title = _converted(bounded_html(source), bounded_base(source, base_url))
    markdown = markdown[: _TIMES * len(source) + _FREE_CHARACTERS]
    said = _letters(markdown)
    if said < _NEARLY_EMPTY:
        bare = _bare_text(source[:_FALLBACK_CHARACTERS])
        if _letters(bare) > 2 * said:
            markdown = bare
    return markdown, title


def _letters(text: str) -> int:
    """Letters and digits, counted as far as it matters: list marks and table rules are no content."""
    count = 0
    for word in _WORD.finditer(text):
        count += len(word[0])
        if count >= _NEARLY_EMPTY:
            break
    return count


def _converted(source: str, base_url: str | None) -> tuple[str, str | None]:
    options = ConversionOptions(
        skip_images=True,
        base_url=base_url,
        preprocessing=PreprocessingOptions(
            enabled=True, preset=PreprocessingPreset.STANDARD, remove_navigation=True, remove_forms=True
        ),
    )
    try:
        result = convert(source, options)
    except (ConversionError, ValueError, RuntimeError):
        return "", None
    title = result.metadata.document.title if result.metadata else None
    return _without_front_matter(result.content or "").strip(), title or None


def _without_front_matter(content: str) -> str:
    if not content.startswith("---\n"):
        return content
    end = content.find("\n---\n", 3)
    return content if end < 0 else content[end + 5 :]


def _bare_text(source: str) -> str:
    for tag in ("script", "style", "noscript", "template", "title"):
        source = _without_elements(source, tag)
    text = html.unescape(_TAG.sub(" ", source))
    return _BLANK_LINES.sub("\n\n", _SPACES.sub(" ", text)).strip()


def _without_elements(source: str, tag: str) -> str:
    # By hand: a lazy regular expression is quadratic on many openings without an end.
    opening, closing = re.compile(f"<{tag}\\b", re.IGNORECASE), re.compile(f"</{tag}\\s*>", re.IGNORECASE)
    kept: list[str] = []
    at = 0
    while start := opening.search(source, at):
        kept.append(source[at : start.start()])
        end = closing.search(source, start.end())
        if end is None:
            return "".join(kept)
        at = end.end()
    kept.append(source[at:])
    return "".join(kept)
