"""The text of a page, fetched or kept: the whole page, apart from what is read in it.

Owns: the lookup of a page and its digest. Refuses to know: goals, extraction, texts for the model. Above: `visit`.
Below: the fetch chain, the cache.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from literesearcher.tools.cache import Found, Produced, Reuse, key_of
from literesearcher.tools.fetch_chain import FetchChain
from literesearcher.tools.governor import Tally
from literesearcher.tools.port import Ask
from literesearcher.tools.providers.port import FetchedPage

LIFETIME_SECONDS = 86_400.0
FETCH_SECONDS = 150.0
"""All providers of one page together."""


@dataclass(frozen=True, slots=True)
class SourcedPage:
    """A page as fetched. `digest`: SHA-256 hex of its text."""

    page: FetchedPage
    digest: str


class PageSource:
    """One a process."""

    def __init__(self, chain: FetchChain, *, reuse: Reuse) -> None:
        self._chain = chain
        self._reuse = reuse

    async def get(self, url: str, *, ask: Ask, tally: Tally) -> Found[SourcedPage]:
        """The page. Raises `RefusedTarget` and `BoundaryError` as the fetch chain."""

        async def produce() -> Produced[SourcedPage]:
            page, keep = await self._chain.fetch(url, ask=ask, timeout_seconds=FETCH_SECONDS, tally=tally)
            digest = hashlib.sha256(page.text.encode("utf-8", "replace")).hexdigest()
            # Stored pages are not kept twice: their owner may change or remove them at any time.
            return Produced(SourcedPage(page, digest), 2 * len(page.text) + 500, keep=keep and not page.whole)

        tenant = ask.tenant_id if self._chain.private else ""
        key = key_of("page", self._chain.cache_key, tenant, url)
        return await self._reuse.get(key, lifetime_seconds=LIFETIME_SECONDS, produce=produce)
