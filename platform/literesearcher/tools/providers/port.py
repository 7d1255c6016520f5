"""The port to search and page providers: one query or one page in, one answer or one attributed failure out.

Refuses to know: the model's texts, caches, retries of other providers, jobs. Above: `tools.search` and
`tools.pages.fetch_chain`. Below: a provider a file (search: `local`, `serper`, `searxng`, `brave`, `tavily`; pages:
`local`, `direct`, `jina`, `scrapedo`, `firecrawl`).
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from literesearcher.errors import BoundaryError
from literesearcher.reading.conversion import Converted
from literesearcher.reading.page_kinds import PageKind
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.timing.retry import RetryPolicy

BUSY = RetryPolicy(tries=2, first_seconds=0.5, max_seconds=5.0)
"""For page providers: a second call where the first found the provider busy or gone; the next provider waits."""
SEARCHES = RetryPolicy(tries=4, first_seconds=1.0, max_seconds=8.0)
"""For search engines with limits by the second: longer waits, so that the last try falls into another second."""


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
    def policy(self) -> RetryPolicy:
        """How often one request is tried; `tools.governor` does so, a provider makes one try a call."""
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
    """A search engine. Raises `BoundaryError` with `transient` set rightly; a spent quota is `provider_quota`, never an
    empty answer."""

    async def search(
        self, query: str, *, tenant_id: str, timeout_seconds: float, sources: SourcePolicy = ANY_SOURCE
    ) -> SearchAnswer:
        """One query, one try.

        What of `sources` the engine can narrow by itself it narrows, so that `sources` belongs to a cache key; results
        are checked anyway. Without sources the request is the one that it always was, to the byte.
        """
        ...

    def locale(self, query: str) -> str:
        """From where and in which language the engine is asked: what a cache key needs to know of it, "" for none."""
        ...


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A page as text. `whole`: known to be complete, so that shortness says nothing (a stored page)."""

    provider: str
    text: str
    title: str | None = None
    whole: bool = False
    url: str | None = None
    """Where redirects led, None where nobody said."""
    language: str | None = None
    """ISO 639-1, as the page declares it."""
    kind: PageKind = "page"
    cut_characters: int = 0
    """Characters behind the end of `text` that the page has and that were not kept."""
    private: bool = False
    """Read inside the perimeter for one tenant (`TOOLS__INTRANET`): never kept or shared without the tenant."""
    published: str | None = None
    """YYYY-MM-DD, as the page or its reader declares it."""


def fetched_page(provider: str, page: Converted, *, url: str | None = None, private: bool = False) -> FetchedPage:
    """What a body was converted to, as a provider hands it on."""
    return FetchedPage(
        provider,
        page.text,
        page.title,
        url=url,
        language=page.language,
        kind=page.kind,
        cut_characters=page.cut_characters,
        private=private,
        published=page.published,
    )


class SiteRefused(BoundaryError):
    """A page's site answered with a failure. `host`: the one that did, to which redirects may have led."""

    def __init__(
        self, message: str, *, host: str, code: str, transient: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, transient=transient, retry_after=retry_after)
        self.host = host


class Crossing(Protocol):
    """What a redirect passes on its way to another host, whose place is held until the context ends."""

    def __call__(
        self, provider: str, *, tenant_id: str, asked: str, host: str, seconds: float
    ) -> AbstractAsyncContextManager[None]:
        """From the host that was `asked` for to `host`, within so many seconds. `BoundaryError` of a `page_` code."""
        ...


class PageProvider(Provider, Protocol):
    """A way to a page's text. Raises `RefusedTarget` for a URL that may not be fetched, else `BoundaryError`."""

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        """One page, one try."""
        ...
