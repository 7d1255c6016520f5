"""A fetched body to the text that extraction reads: HTML, PDF, plain text, Markdown, JSON, XML.

Owns: which kind a body is, and that heavy conversions run off the event loop in threads of their own, bounded in
size and time. Refuses to know: fetching, formats (`reading`). Above: `providers.direct`, `providers.scrapedo`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from literesearcher.errors import BoundaryError
from literesearcher.reading.charset import decode
from literesearcher.reading.html_text import html_to_text
from literesearcher.reading.pdf_text import is_pdf, pdf_to_text

_INLINE_BYTES = 65_536
"""Plain text up to this size is decoded where it arrives; a thread hop would cost more."""
MAX_HTML_CHARACTERS = 10_000_000
MAX_PDF_CHARACTERS = 800_000
"""Twice what 95,000 tokens hold: what lies behind it is never read."""
MAX_PDF_PAGES = 2_000
_PLAIN = ("application/json", "application/xml", "application/javascript", "application/x-ndjson", "application/yaml")
_UNNAMED = ("", "application/octet-stream", "binary/octet-stream")


@dataclass(frozen=True, slots=True)
class PageText:
    """Text of a page, valid Unicode, and its title where it has one."""

    text: str
    title: str | None = None


class PageReader:
    """Two conversions at a time; others wait."""

    def __init__(self, *, seconds: float = 20.0) -> None:
        self._seconds = seconds
        self._threads: ThreadPoolExecutor | None = None

    async def read(self, body: bytes, content_type: str, charset: str | None, *, url: str | None = None) -> PageText:
        """`BoundaryError` `page_unreadable` for a kind that holds no text, or a document that cannot be read."""
        kind = kind_of(body, content_type)
        if kind == "pdf":
            return await self._in_thread(
                lambda: pdf_to_text(
                    body, max_pages=MAX_PDF_PAGES, max_characters=MAX_PDF_CHARACTERS, seconds=self._seconds
                )
            )
        if kind == "html":
            return await self._in_thread(lambda: html_to_text(decode(body, charset)[:MAX_HTML_CHARACTERS], url))
        if len(body) <= _INLINE_BYTES:
            return PageText(decode(body, charset))
        return await self._in_thread(lambda: (decode(body, charset), None))

    async def _in_thread(self, work: Callable[[], tuple[str, str | None]]) -> PageText:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="page-text")
        try:
            async with asyncio.timeout(2 * self._seconds):
                text, title = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            raise BoundaryError("the page took too long to read", code="page_unreadable") from None
        return PageText(text, title)

    def close(self) -> None:
        """Let the threads go. Safe to call twice."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def kind_of(body: bytes, content_type: str) -> str:
    """`html`, `pdf` or `plain`; raises `BoundaryError` `page_unreadable` for pictures, archives and the like."""
    media = content_type.partition(";")[0].strip().lower()
    head = body[:1024].lstrip()
    if media in ("application/pdf", "application/x-pdf") or is_pdf(body):
        return "pdf"
    if media in ("text/html", "application/xhtml+xml"):
        return "html"
    if media in _UNNAMED and b"\0" not in head:
        lowered = head.lower()
        return "html" if lowered.startswith((b"<!doctype html", b"<html")) or b"<body" in lowered else "plain"
    if media.startswith("text/") or media in _PLAIN or media.endswith(("+json", "+xml")):
        return "plain"
    raise BoundaryError(f"the page is of a kind without text ({media[:60]})", code="page_unreadable")
