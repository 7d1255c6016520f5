"""A fetched body to the text that extraction reads: HTML, PDF, plain text, Markdown, JSON, XML.

Owns: which form a body has, and where it is converted: a little text without markup at once, everything else in worker
processes, so that no other call waits on it and no page takes this process with it; PDFs and what is large in others
than ordinary pages, which never wait behind them. Refuses to know: fetching, how forms are read
(`reading.conversion`). Above: the providers, `shaping`. Below: `workshop`.
"""

from __future__ import annotations

from literesearcher.errors import BoundaryError
from literesearcher.reading.conversion import Converted, Form, converted
from literesearcher.reading.pdf_text import is_pdf
from literesearcher.timing.clock import Clock
from literesearcher.tools.pages.workshop import SECONDS, Workshop

_INLINE_BYTES: dict[Form, int] = {"plain": 65_536, "data": 16_384}
"""Text up to this size is read where it arrives, for handing it over would cost more."""
_ORDINARY_BYTES = 1_000_000
_ORDINARY_MEMORY_BYTES = 1_000_000_000
"""Of address space. The hungriest page of 1 MB that is known takes less than a tenth of it."""
_MARKUP = (b"<", b"\\u003")
"""What JSON without these holds is no HTML."""
_READ_BY = 2 / 3
"""After this share of its time a PDF gives the pages that were read."""
_PLAIN = ("application/json", "application/xml", "application/javascript", "application/x-ndjson", "application/yaml")
_UNNAMED = ("", "application/octet-stream", "binary/octet-stream")


class PageReader:
    """One a process. Its workers start with the first page that needs one; tenants take turns."""

    def __init__(self, *, seconds: float = SECONDS, clock: Clock | None = None) -> None:
        """`seconds`: of one conversion."""
        self._seconds = seconds
        self._ordinary = Workshop(seconds=seconds, clock=clock, memory_bytes=_ORDINARY_MEMORY_BYTES)
        self._heavy = Workshop(seconds=seconds, clock=clock)

    async def read(
        self, body: bytes, content_type: str, charset: str | None, *, url: str | None = None, tenant_id: str = ""
    ) -> Converted:
        """`BoundaryError` `page_unreadable` for a kind that holds no text, or a document that cannot be read."""
        return await self._convert(body, kind_of(body, content_type), tenant_id, charset, url)

    async def plain(self, body: bytes, charset: str | None, *, tenant_id: str = "") -> Converted:
        """The body as it is, whatever it looks like."""
        return await self._convert(body, "plain", tenant_id, charset)

    async def laid_out(self, text: str, *, tenant_id: str = "") -> Converted:
        """JSON, XML and feeds on lines for a reader, other text as it is (`reading.data_text`)."""
        return await self._convert(text.encode("utf-8", "replace"), "data", tenant_id)

    async def _convert(
        self, body: bytes, form: Form, tenant_id: str, charset: str | None = None, url: str | None = None
    ) -> Converted:
        if len(body) <= _INLINE_BYTES.get(form, -1) and (form == "plain" or not any(map(body.__contains__, _MARKUP))):
            return converted(body, form, charset=charset)
        heavy = form == "pdf" or len(body) > _ORDINARY_BYTES
        workshop = self._heavy if heavy else self._ordinary
        options = {"form": form, "charset": charset, "url": url, "seconds": _READ_BY * self._seconds}
        return await workshop.convert(body, tenant_id=tenant_id, **options)

    async def aclose(self) -> None:
        """End the processes. Safe to call twice."""
        await self._ordinary.aclose()
        await self._heavy.aclose()


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
