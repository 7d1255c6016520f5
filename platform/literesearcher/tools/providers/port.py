"""The port to search and page providers: one query or one page in, one answer or one attributed failure out.

Refuses to know: the model's texts, caches, retries of other providers, jobs. Above: `tools.search` and
`tools.fetch_chain`. Below: a provider a file (`local`, `serper`, `direct`, `jina`, `scrapedo`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Provider(Protocol):
    """What every provider says of itself."""

    @property
    def id(self) -> str:
        """Its name in the settings."""
        ...

    @property
    def cache_key(self) -> str:
        """What about its settings changes its answers; never a secret."""
        ...

    @property
    def private(self) -> bool:
        """True where its answers belong to a tenant and may not be shared."""
        ...


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One search result as the provider gave it; absent facts are None."""

    title: str
    link: str
    snippet: str | None = None
    date: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """Results in the provider's order. `listed`: the provider returned a list, even if an empty one."""

    provider: str
    results: tuple[SearchResult, ...]
    listed: bool = True


class SearchProvider(Provider, Protocol):
    """A search engine. Raises `BoundaryError` with `transient` set rightly; retries inside are its published ones."""

    async def search(self, query: str, *, tenant_id: str, timeout_seconds: float) -> SearchAnswer:
        """One query."""
        ...


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A page as text. `whole`: known to be complete, so that shortness says nothing (a stored page)."""

    provider: str
    text: str
    title: str | None = None
    whole: bool = False


class PageProvider(Provider, Protocol):
    """A way to a page's text. Raises `RefusedTarget` for a URL that may not be fetched, else `BoundaryError`."""

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        """One page, one try."""
        ...
