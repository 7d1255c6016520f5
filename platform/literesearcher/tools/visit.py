"""The visit tool: each page fetched, cut, and read for the goal, all pages at once, order kept.

Owns: the steps of one page, reuse of page text and of extractions, what becomes of each failure. Refuses to know: how
a page is fetched or extracted. Above: `tools.proxy`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from literesearcher.errors import BoundaryError
from literesearcher.research.events import ToolItem
from literesearcher.research.messages import Profile
from literesearcher.timing.clock import Clock
from literesearcher.tools import formatting
from literesearcher.tools.cache import Found, Produced, Reuse, key_of
from literesearcher.tools.extraction import Extraction, Extractor
from literesearcher.tools.fetch_chain import FetchChain
from literesearcher.tools.gathering import gathered
from literesearcher.tools.guard import RefusedTarget
from literesearcher.tools.page_cut import CountTokens, cut_to_tokens

PAGE_LIFETIME_SECONDS = 86_400.0
EXTRACTION_LIFETIME_SECONDS = 86_400.0
FETCH_SECONDS = 150.0
"""All providers of one page together."""
EXTRACTION_SECONDS = 900.0
SHORT_CHARACTERS = 500
"""A fetched page under this many characters is not read, as published."""


@dataclass(frozen=True, slots=True)
class _CutPage:
    provider: str
    title: str | None
    text: str
    digest: str
    readable: bool


class VisitTool:
    """Carries out the pages of one call."""

    def __init__(
        self,
        chain: FetchChain,
        *,
        extractor: Extractor,
        reuse: Reuse,
        clock: Clock,
        count_tokens: CountTokens | None = None,
    ) -> None:
        self._chain = chain
        self._extractor = extractor
        self._reuse = reuse
        self._clock = clock
        self._count_tokens = count_tokens

    async def run(
        self, urls: Sequence[str], goal: str, *, tenant_id: str, profile: Profile, timeout_seconds: float
    ) -> tuple[str, list[ToolItem]]:
        """The text of the whole call, and its items in the order asked."""
        items = await gathered([self._timed(url, goal, tenant_id, profile, timeout_seconds) for url in urls])
        return formatting.join_pages([item.text for item in items]), items

    async def _timed(self, url: str, goal: str, tenant_id: str, profile: Profile, timeout_seconds: float) -> ToolItem:
        started = self._clock.monotonic()
        item = await self._page(url, goal, tenant_id, profile, started + timeout_seconds)
        return replace(item, elapsed_seconds=self._clock.monotonic() - started)

    async def _page(self, url: str, goal: str, tenant_id: str, profile: Profile, deadline: float) -> ToolItem:
        try:
            async with asyncio.timeout(min(FETCH_SECONDS, deadline - self._clock.monotonic())):
                found = await self._fetched(url, tenant_id, profile)
        except RefusedTarget:
            return _failed(url, goal, formatting.UNREACHABLE, "refused")
        except BoundaryError as error:
            return _failed(url, goal, formatting.UNREACHABLE, _status(error))
        except TimeoutError:
            return _failed(url, goal, formatting.UNREACHABLE, "timeout")
        page = found.value
        facts = ToolItem(
            kind="page",
            target=url,
            ok=False,
            provider=page.provider,
            title=page.title,
            digest=page.digest,
            cache=found.cache,
            fetched_at=found.at,
        )
        if not page.readable:
            return replace(facts, status="too_short", text=formatting.page_text(url, goal, *formatting.TOO_SHORT))
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()):
                read = await self._extracted(page, goal, profile)
        except (TimeoutError, BoundaryError):
            read = Found(Extraction(None), found.cache, found.at)
        return _read(facts, url, goal, read)

    async def _fetched(self, url: str, tenant_id: str, profile: Profile) -> Found[_CutPage]:
        limit = self._extractor.page_tokens(profile)

        async def produce() -> Produced[_CutPage]:
            fetched, keep = await self._chain.fetch(url, tenant_id=tenant_id, timeout_seconds=FETCH_SECONDS)
            text = await cut_to_tokens(fetched.text, limit, self._count_tokens)
            readable = bool(text.strip()) if fetched.whole else len(text) >= SHORT_CHARACTERS
            digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
            page = _CutPage(fetched.provider, fetched.title, text, digest, readable)
            # Stored pages are not kept twice: their owner may change or remove them at any time.
            return Produced(page, 2 * len(text) + 500, keep=keep and readable and not fetched.whole)

        tenant = tenant_id if self._chain.private else ""
        key = key_of("page", self._chain.cache_key, tenant, str(limit), url)
        return await self._reuse.get(key, lifetime_seconds=PAGE_LIFETIME_SECONDS, produce=produce)

    async def _extracted(self, page: _CutPage, goal: str, profile: Profile) -> Found[Extraction]:
        async def produce() -> Produced[Extraction]:
            # Its own time limit, not this caller's: others may be waiting on the same reading for longer.
            extraction = await self._extractor.extract(
                page.text, goal, profile=profile, timeout_seconds=EXTRACTION_SECONDS
            )
            fields = extraction.fields or {}
            size = 500 + 2 * sum(len(value) for value in fields.values())
            return Produced(extraction, size, keep=extraction.fields is not None)

        key = key_of("extraction", self._extractor.cache_key, profile, page.digest, goal)
        return await self._reuse.get(key, lifetime_seconds=EXTRACTION_LIFETIME_SECONDS, produce=produce)


def _failed(url: str, goal: str, note: formatting.PageNote, status: str) -> ToolItem:
    return ToolItem(kind="page", target=url, ok=False, status=status, text=formatting.page_text(url, goal, *note))


def _status(error: BoundaryError) -> str:
    return "missing" if error.code == "page_missing" else "unreachable"


def _read(facts: ToolItem, url: str, goal: str, read: Found[Extraction]) -> ToolItem:
    fields = read.value.fields
    # What another call or the cache paid for is not paid again.
    usage = read.value.usage if read.cache in (None, "miss") else None
    if fields is None:
        text = formatting.page_text(url, goal, *formatting.NOT_EXTRACTED)
        return replace(facts, status="extraction_failed", text=text, cache=read.cache, usage=usage)
    return replace(
        facts,
        ok=True,
        status="found",
        extracted=fields,
        text=formatting.page_text(url, goal, fields["evidence"], fields["summary"]),
        cache=read.cache,
        usage=usage,
    )
