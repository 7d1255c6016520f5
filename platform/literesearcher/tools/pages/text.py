"""A fetched body to the text that extraction reads: HTML, PDF, plain text, Markdown, JSON, XML.

Owns: which form a body has, and where it is converted so that no other call waits on it: a little text at once, a page
of ordinary size in a thread (the converter lets the others run), a large one and every PDF in a worker process.
Refuses to know: fetching, how forms are read (`reading.conversion`). Above: `providers.direct`, `providers.scrapedo`,
`fetch_chain`. Below: `workshop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from literesearcher.errors import BoundaryError
from literesearcher.reading.conversion import Converted, Form, converted
from literesearcher.reading.pdf_text import is_pdf
from literesearcher.tools.pages.workshop import Workshop

_INLINE_BYTES: dict[Form, int] = {"plain": 65_536, "data": 16_384}
"""Text up to this size is read where it arrives; a thread hop would cost more."""
_THREAD_BYTES = 1_000_000
"""A body up to this size is converted in a thread. The parts of that which let no other thread run take milliseconds;
ten times the size is ten times that."""
_THREADS = 2
_PLAIN = ("application/json", "application/xml", "application/javascript", "application/x-ndjson", "application/yaml")
_UNNAMED = ("", "application/octet-stream", "binary/octet-stream")


class PageReader:
    """Two conversions at a time in threads, two in processes; others wait."""

    def __init__(self, *, seconds: float = 20.0, workshop: Workshop | None = None) -> None:
        """`seconds`: after so many a PDF gives the pages that were read; twice as many end any conversion."""
        self._seconds = seconds
        self._workshop = workshop
        self._threads: ThreadPoolExecutor | None = None
        self._turns = asyncio.Semaphore(_THREADS)

    async def read(self, body: bytes, content_type: str, charset: str | None, *, url: str | None = None) -> Converted:
        """`BoundaryError` `page_unreadable` for a kind that holds no text, or a document that cannot be read."""
        return await self._convert(body, kind_of(body, content_type), charset, url)

    async def laid_out(self, text: str) -> Converted:
        """JSON, XML and feeds on lines for a reader, other text as it is (`reading.data_text`)."""
        return await self._convert(text.encode("utf-8", "replace"), "data", None, None)

    async def _convert(self, body: bytes, form: Form, charset: str | None, url: str | None) -> Converted:
        if len(body) <= _INLINE_BYTES.get(form, -1):
            return converted(body, form, charset=charset)
        if form == "pdf" or len(body) > _THREAD_BYTES:
            if self._workshop is None:
                self._workshop = Workshop(seconds=2 * self._seconds)
            return await self._workshop.convert(body, form=form, charset=charset, url=url, seconds=self._seconds)
        return await self._in_thread(lambda: converted(body, form, charset=charset, url=url))

    async def _in_thread(self, work: Callable[[], Converted]) -> Converted:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="page-text")
        async with self._turns:  # the time limit is of the work, not of the wait behind a thousand others
            try:
                async with asyncio.timeout(2 * self._seconds):
                    return await asyncio.get_running_loop().run_in_executor(self._threads, work)
            except TimeoutError:
                raise BoundaryError("the page took too long to read", code="page_unreadable") from None

    async def aclose(self) -> None:
        """Let the threads go and end the processes. Safe to call twice."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
        if self._workshop is not None:
            await self._workshop.aclose()


def kind_of(body: bytes, content_type: str) -> Form:
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
