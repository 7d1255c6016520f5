"""The local environment as a provider: search and pages of the corpus that the wiring hands in.

Refuses to know: how the corpus is built or stored. A URL is a key looked up, never opened or imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.tools.providers.port import BUSY, FetchedPage, SearchAnswer, SearchResult

LOOKUP_SCHEMES = ("pydoc:", "corpus:", "http://", "https://")
"""URLs that may be keys of stored pages."""


class Hit(Protocol):
    """A search hit as the corpus gives it."""

    @property
    def url(self) -> str:
        """Key of the page."""
        ...

    @property
    def title(self) -> str:
        """Title of the page."""
        ...

    @property
    def snippet(self) -> str:
        """Plain text, empty where there is none."""
        ...


class StoredPage(Protocol):
    """A page as the corpus gives it: Markdown text."""

    @property
    def title(self) -> str:
        """Title of the page."""
        ...

    @property
    def text(self) -> str:
        """The whole page."""
        ...


class Library(Protocol):
    """What these providers need of the neighbouring room: its `corpus.port.Corpus` fits as it is."""

    async def search(self, query: str, *, limit: int = 10, tenant_id: str | None = None) -> Sequence[Hit]:
        """Best pages for the query."""
        ...

    async def page(self, url: str, *, tenant_id: str | None = None) -> StoredPage | None:
        """The page stored under `url`."""
        ...


class LocalSearch:
    """Search over the corpus; ten results at most."""

    id = "local"
    cache_key = "local"
    private = True
    policy = BUSY

    def __init__(self, corpus: Library) -> None:
        self._corpus = corpus

    async def search(
        self, query: str, *, tenant_id: str, timeout_seconds: float, sources: SourcePolicy = ANY_SOURCE
    ) -> SearchAnswer:
        """Best pages for the query."""
        try:
            async with asyncio.timeout(timeout_seconds):
                hits = await self._corpus.search(query, limit=10, tenant_id=tenant_id or None)
        except TimeoutError:
            raise BoundaryError("the local index took too long", code="corpus_timeout", transient=True) from None
        results = tuple(SearchResult(hit.title, hit.url, hit.snippet or None) for hit in hits)
        return SearchAnswer(self.id, results, listed=bool(results))

    def locale(self, query: str) -> str:
        """One corpus, wherever it is asked from."""
        return ""


class LocalPages:
    """Pages of the corpus by URL."""

    id = "local"
    cache_key = "local"
    private = True
    policy = BUSY

    def __init__(self, corpus: Library) -> None:
        self._corpus = corpus

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        """The stored page; `BoundaryError` `page_missing` when there is none."""
        if not url.lower().startswith(LOOKUP_SCHEMES):
            raise BoundaryError("not a key of the page store", code="page_missing")
        try:
            async with asyncio.timeout(timeout_seconds):
                page = await self._corpus.page(url, tenant_id=tenant_id or None)
        except TimeoutError:
            raise BoundaryError("the page store took too long", code="corpus_timeout", transient=True) from None
        if page is None:
            raise BoundaryError("the page store has no such page", code="page_missing")
        return FetchedPage(self.id, page.text, page.title or None, whole=True)
