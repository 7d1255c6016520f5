"""Text of a PDF. Bounded in pages, characters and seconds; PDFium is not thread-safe, so one lock guards it.

Refuses to know: fetching, threads (the caller runs it off the event loop).
"""

from __future__ import annotations

import threading
import time

import pypdfium2  # type: ignore[import-untyped]

from literesearcher.errors import BoundaryError

MAX_CHARACTERS = 800_000
"""Twice what 95,000 tokens hold: what lies behind it is never read."""
MAX_PAGES = 2_000


class PdfText:
    """Reads one PDF at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def read(self, body: bytes, *, seconds: float) -> tuple[str, str | None]:
        """Text and title. `BoundaryError` `page_unreadable` for junk, a cut file, or one that wants a password.

        A document that takes longer than `seconds` gives the pages read by then.
        """
        until = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            raise BoundaryError("too many PDFs at once", code="page_unreadable", transient=True)
        try:
            return self._read(body, until)
        except (pypdfium2.PdfiumError, ValueError):
            raise BoundaryError("the PDF cannot be read", code="page_unreadable") from None
        finally:
            self._lock.release()

    def _read(self, body: bytes, until: float) -> tuple[str, str | None]:
        document = pypdfium2.PdfDocument(body)
        try:
            parts: list[str] = []
            size = 0
            for number in range(min(len(document), MAX_PAGES)):
                page = document[number]
                try:
                    text_page = page.get_textpage()
                    try:
                        text = text_page.get_text_bounded()
                    finally:
                        text_page.close()
                finally:
                    page.close()
                parts.append(text.replace("\r\n", "\n").replace("\r", "\n"))
                size += len(text)
                if size >= MAX_CHARACTERS or time.monotonic() >= until:
                    break
            title = document.get_metadata_value("Title") or None
            return "\n\n".join(parts).strip(), title
        finally:
            document.close()
