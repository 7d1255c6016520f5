"""A body to the text of a page, whatever form it has: one function, run in a thread or in a worker process.

Owns: what is kept of a long page. Refuses to know: fetching, threads, processes. Neighbours: the forms (`html_text`,
`pdf_text`, `data_text`), `charset`, `page_kinds`, `page_facts`. Above: `conversion_worker`, `tools.pages.text`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from literesearcher.reading.charset import decode
from literesearcher.reading.data_text import readable_data
from literesearcher.reading.html_text import html_to_text
from literesearcher.reading.page_facts import language_of, published_of
from literesearcher.reading.page_kinds import PageKind, kind_of_page
from literesearcher.reading.pdf_text import pdf_to_text

Form = Literal["html", "pdf", "plain", "data"]
"""`data`: text in UTF-8 that is JSON or XML, to be laid out for a reader."""

MAX_TEXT_CHARACTERS = 3_000_000
"""Of a page's text, so much is kept: more than is ever read of one (`tools.pages.chunks`)."""
MAX_HTML_CHARACTERS = 10_000_000
MAX_PDF_PAGES = 2_000


@dataclass(frozen=True, slots=True)
class Converted:
    """Text of a page, valid Unicode, and what it says of itself."""

    text: str
    title: str | None = None
    language: str | None = None
    """ISO 639-1."""
    published: str | None = None
    """YYYY-MM-DD."""
    kind: PageKind = "page"
    cut_characters: int = 0
    """Characters that the page has behind the end of `text`."""


def converted(
    body: bytes, form: Form, *, charset: str | None = None, url: str | None = None, seconds: float = 20.0
) -> Converted:
    """The body as text. `BoundaryError` `page_unreadable` for a PDF that cannot be read."""
    if form == "pdf":
        text, title = pdf_to_text(body, max_pages=MAX_PDF_PAGES, max_characters=MAX_TEXT_CHARACTERS, seconds=seconds)
        return bounded(text, title)
    if form == "data":
        text = body.decode("utf-8", "replace")
        return bounded(readable_data(text) or text)
    source = decode(body, charset)
    if form == "plain":
        return bounded(source, language=language_of(source) if source.lstrip()[:1] == "<" else None)
    text, title = html_to_text(source[:MAX_HTML_CHARACTERS], url)
    return bounded(
        text,
        title,
        language=language_of(source),
        published=published_of(source),
        kind=kind_of_page(text, title, source=source),
    )


def bounded(
    text: str,
    title: str | None = None,
    *,
    language: str | None = None,
    published: str | None = None,
    kind: PageKind = "page",
) -> Converted:
    """The page with as much of its text as is kept."""
    over = max(0, len(text) - MAX_TEXT_CHARACTERS)
    return Converted(text[:MAX_TEXT_CHARACTERS], title, language, published, kind, over)
