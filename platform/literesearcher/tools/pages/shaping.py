"""A fetched body made readable, in `improved`: mojibake undone, JSON and feeds laid out, a wall told from a page.

Refuses to know: providers, goals, what becomes of a wall. Above: `fetch_chain`. Below: `reading`, `text` for what
takes long.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from literesearcher.errors import BoundaryError
from literesearcher.reading.data_text import looks_like_data
from literesearcher.reading.mojibake import is_mojibake, repaired
from literesearcher.reading.page_kinds import kind_of_page
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.providers.port import FetchedPage

_INLINE_CHARACTERS = 50_000


class PageShaping:
    """One a process."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader

    async def shaped(self, page: FetchedPage, *, tenant_id: str = "") -> FetchedPage:
        """The page as it is to be read. What cannot be shaped stays as it came."""
        if is_mojibake(page.text):
            if len(page.text) <= _INLINE_CHARACTERS:
                text = repaired(page.text)
            else:
                text = await asyncio.to_thread(repaired, page.text)
            page = replace(page, text=text, title=repaired(page.title) if page.title else page.title)
        if looks_like_data(page.text):
            page = await self._laid_out(page, tenant_id)
        if page.kind == "page":
            page = replace(page, kind=kind_of_page(page.text, page.title))
        return page

    async def _laid_out(self, page: FetchedPage, tenant_id: str) -> FetchedPage:
        try:
            made = await self._reader.laid_out(page.text, tenant_id=tenant_id)
        except BoundaryError:
            return page
        return replace(page, text=made.text, cut_characters=page.cut_characters + made.cut_characters)
