"""Text of a PDF. Bounded in pages, characters and, where asked, seconds.

Owns: the one lock that guards PDFium. Refuses to know: where the bytes came from, threads (a caller with an event loop
runs it off the loop).
"""

from __future__ import annotations

import threading
import time

import pypdfium2  # type: ignore[import-untyped]

from literesearcher.errors import BoundaryError
from literesearcher.reading.unicode_text import valid_unicode

_PDFIUM = threading.Lock()
"""PDFium keeps its state by process and is not thread-safe, so no lock of a smaller scope would do."""


def is_pdf(body: bytes) -> bool:
    """Does it begin like one? Blanks before the mark are common and harmless."""
    return body[:1024].lstrip().startswith(b"%PDF-")


def pdf_to_text(
    body: bytes, *, max_pages: int, max_characters: int, seconds: float | None = None
) -> tuple[str, str | None]:
    """Text and title; what lies behind `max_pages`, or the page on which `max_characters` are passed, is not read.

    A document that takes longer than `seconds` gives the pages read by then. `BoundaryError` `page_unreadable` for
    junk, a cut file, or one that wants a password; a transient one where `seconds` went by in waiting for others.
    """
    until = None if seconds is None else time.monotonic() + seconds
    if not _PDFIUM.acquire(timeout=-1 if seconds is None else seconds):
        raise BoundaryError("too many PDFs at once", code="page_unreadable", transient=True)
    try:
        return _read(body, max_pages, max_characters, until)
    except (pypdfium2.PdfiumError, ValueError) as error:
        raise BoundaryError(f"the PDF cannot be read ({str(error)[:100]})", code="page_unreadable") from None
    finally:
        _PDFIUM.release()


def _read(body: bytes, max_pages: int, max_characters: int, until: float | None) -> tuple[str, str | None]:
    document = pypdfium2.PdfDocument(body)
    try:
        parts: list[str] = []
        size = 0
        for number in range(min(len(document), max_pages)):
            text = _page(document, number)
            if text:
                parts.append(text)
            size += len(text)
            if size > max_characters or (until is not None and time.monotonic() >= until):
                break
        title = document.get_metadata_value("Title")
        return valid_unicode("\n\n".join(parts)), valid_unicode(title) if title else None
    finally:
        document.close()


def _page(document: pypdfium2.PdfDocument, number: int) -> str:
    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            text: str = text_page.get_text_bounded()
        finally:
            text_page.close()
    finally:
        page.close()
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
