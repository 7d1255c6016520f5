"""The text of a page, fetched or kept: the whole page, apart from what is read in it.

Owns: the lookup of a page and its digest; a kept page's text is moved only where it has to be read. Refuses to know:
goals, extraction, texts for the model. Above: `visit`. Below: the fetch chain, the cache.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from typing import Any, get_args

from literesearcher.errors import BoundaryError
from literesearcher.reading.page_kinds import PageKind
from literesearcher.timing.clock import Clock
from literesearcher.tools.cache.entry import PROVIDER, Entry, digest_of, text_of
from literesearcher.tools.cache.keys import canonical_url, key_of
from literesearcher.tools.cache.lookup import Found, How, Lookup, NotKept, Produced
from literesearcher.tools.cache.results import ResultCache
from literesearcher.tools.governor import Tally
from literesearcher.tools.pages.fetch_chain import FetchChain
from literesearcher.tools.pages.reading import Reading
from literesearcher.tools.port import Ask
from literesearcher.tools.providers.port import FetchedPage

FETCH_SECONDS = 150.0
"""All providers of one page together."""
_FACTS = {
    field.name: {
        "str": (str,),
        "str | None": (str, type(None)),
        "bool": (bool,),
        "int": (int,),
        "PageKind": (str,),
    }[str(field.type)]
    for field in fields(FetchedPage)
    if field.name != "text"
}
"""What of a page is kept beside its text, and as what."""
_MAX_CUT = 1_000_000_000
_LOOKS = 3
"""Times that a kept page's text may be gone before the page is fetched past the cache."""


@dataclass(frozen=True, slots=True)
class SourcedPage:
    """A page as fetched. `digest`: SHA-256 hex of its text."""

    page: FetchedPage
    """Its text is empty where `reading` stands for it."""
    digest: str
    reading: Reading | None = None
    """What was read in this very text for the goal before."""
    loaded: bool = True


Peek = Callable[[SourcedPage], Awaitable[Reading | None]]
"""What is known of a page for a goal without its text."""


class PageMissing(BoundaryError):
    """The site says that there is no such page (`page_missing`). `cache`, `at`, `recorded`: as in `Found`."""

    default_code = "page_missing"

    def __init__(self, message: str, *, cache: How | None, at: float, recorded: bool | None = None) -> None:
        super().__init__(message)
        self.cache = cache
        self.at = at
        self.recorded = recorded


class PageSource:
    """One a process. `of_tenant`: whether this tenant's pages may come from inside the perimeter."""

    def __init__(
        self,
        chain: FetchChain,
        *,
        cache: ResultCache,
        clock: Clock,
        of_tenant: Callable[[str], bool] = lambda tenant_id: False,
    ) -> None:
        self._chain = chain
        self._clock = clock
        self._cache = cache
        self._of_tenant = of_tenant

    async def get(self, url: str, *, ask: Ask, tally: Tally, peek: Peek | None = None) -> Found[SourcedPage]:
        """The page. Raises `RefusedTarget`, `NotKept`, `PageMissing` and `BoundaryError` as the fetch chain.

        Where the page is kept and `peek` knows what was read in it, its text is left where it is.
        """
        if self._stored_apart(ask):
            stored = await self._chain.stored(url, ask=ask, timeout_seconds=FETCH_SECONDS, tally=tally)
            if stored is not None:
                now = self._clock.now().timestamp()
                return Found(SourcedPage(stored, await digest_of(stored.text)), "miss", now)
        newer_than: float | None = None
        for _ in range(_LOOKS):
            found = await self._look(url, ask, tally, newer_than)
            sourced = found.value
            if sourced.loaded:
                return found
            reading = await peek(sourced) if peek is not None else None
            if reading is not None:
                return replace(found, value=replace(sourced, reading=reading))
            text = await self._cache.body(found, sourced.digest)
            if text is not None:
                whole = SourcedPage(replace(sourced.page, text=text), sourced.digest)
                return replace(found, value=whole)
            if ask.cache == "only":
                raise NotKept("the text of the page is not kept any more")
            newer_than = found.entry_at
        return await self._look(url, replace(ask, cache="bypass"), tally, None)

    def _stored_apart(self, ask: Ask) -> bool:
        """Is the tenant's own store asked before the cache? Its pages are kept for nobody, so what the providers after
        it give can be shared. A job that records, or reads what it recorded, keeps the whole as one."""
        return self._chain.stored_first and ask.cache in ("default", "bypass")

    async def _look(self, url: str, ask: Ask, tally: Tally, newer_than: float | None) -> Found[SourcedPage]:
        apart = self._stored_apart(ask)
        of_store = self._chain.private_past_stored if apart else self._chain.private
        private = of_store or self._of_tenant(ask.tenant_id)

        async def produce(tally: Tally) -> Produced[SourcedPage | None]:
            try:
                page, good = await self._chain.fetch(
                    url, ask=ask, timeout_seconds=FETCH_SECONDS, tally=tally, past_stored=apart
                )
            except BoundaryError as error:
                if error.code != "page_missing":
                    raise
                # A stored page may be added at any moment.
                return Produced(None, status="missing", keep="recorded" if of_store else "shared")
            digest = await digest_of(page.text)
            # Stored pages are not kept twice: their owner may change or remove them at any time.
            shared = good and not page.whole and (private or not page.private)
            return Produced(
                SourcedPage(page, digest),
                provider=page.provider,
                digest=digest,
                keep="shared" if shared else "recorded",
                body=page.text,
            )

        lookup = Lookup(
            kind="page",
            key=key_of("page", self._chain.cache_key(ask), canonical_url(url)),
            lifetime=self._cache.lifetimes.page,
            encode=_encoded,
            decode=_decoded,
            of_tenant=private,
        )
        found = await self._cache.get(lookup, ask=ask, tally=tally, produce=produce, newer_than=newer_than)
        sourced = found.value
        if sourced is None:
            raise PageMissing("there is no such page", cache=found.cache, at=found.at, recorded=found.recorded)
        return Found(sourced, found.cache, found.at, found.entry_key, found.entry_at, found.recorded)


def _encoded(sourced: SourcedPage | None) -> dict[str, Any] | None:
    if sourced is None:
        return None
    facts = asdict(sourced.page)
    del facts["text"]
    return facts


def _decoded(entry: Entry) -> SourcedPage | None:
    facts = entry.value
    if entry.status == "missing" and facts is None:
        return None
    if entry.status != "found" or not isinstance(facts, dict) or not facts.keys() <= _FACTS.keys():
        raise ValueError("not the facts of a page")
    if not all(type(value) in _FACTS[name] for name, value in facts.items()):
        raise ValueError("not the facts of a page")
    page = FetchedPage(text="", **facts)
    text_of(page.provider, PROVIDER)
    if page.kind not in get_args(PageKind) or not 0 <= page.cut_characters <= _MAX_CUT:
        raise ValueError("not the facts of a page")
    if page.published is not None:
        date.fromisoformat(page.published)
    return SourcedPage(page, entry.digest, loaded=False)
