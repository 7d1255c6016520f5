"""The search tool: each query through the providers in order, all queries at once, order kept.

Owns: which provider's answer is taken, what becomes of a failure. Refuses to know: providers' wires, how answers are
kept (`cache`), how requests go out (`governor`). Above: `tools.proxy`. A failed search never reads as one without
results.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from literesearcher.errors import BoundaryError
from literesearcher.research.events import ToolItem
from literesearcher.research.messages import Profile
from literesearcher.research.tool_options import ANY_SOURCE
from literesearcher.timing.clock import Clock
from literesearcher.tools import formatting
from literesearcher.tools.cache.entry import Entry
from literesearcher.tools.cache.keys import canonical_query, key_of, policy_key
from literesearcher.tools.cache.lifetimes import bucket_of
from literesearcher.tools.cache.lookup import Found, Lookup, Produced
from literesearcher.tools.cache.results import ResultCache
from literesearcher.tools.gathering import gathered
from literesearcher.tools.governor import Governor, Tally
from literesearcher.tools.port import Ask
from literesearcher.tools.providers.port import SearchAnswer, SearchProvider, SearchResult
from literesearcher.tools.sources.rules import SourceRules, left_out_line

PROVIDER_SECONDS = 180.0
"""One provider with all its tries; the call's own deadline holds beside it, for each caller of a shared lookup."""
FALLBACK_SECONDS = 45.0
"""The same where another provider comes after it: a pause or a stall of one must not use up the call."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    query: str
    found: Found[SearchAnswer] | None
    failure: str | None
    elapsed_seconds: float
    tally: Tally


class SearchTool:
    """Carries out the queries of one call."""

    def __init__(
        self,
        providers: Sequence[SearchProvider],
        *,
        cache: ResultCache,
        clock: Clock,
        governor: Governor,
    ) -> None:
        self._providers = tuple(providers)
        self._cache = cache
        self._clock = clock
        self._governor = governor

    async def run(self, queries: Sequence[str], *, ask: Ask) -> tuple[str, list[ToolItem]]:
        """The text of the whole call, and its items in the order asked."""
        outcomes = await gathered([self._query(query, ask) for query in queries])
        items = []
        seen: set[str] = set()
        rules = SourceRules(ask.sources, ask.pages_read)
        for outcome in outcomes:
            items.append(_item(outcome, ask.profile, seen, rules))
        return formatting.join_searches([item.text for item in items], ask.profile), items

    async def _query(self, query: str, ask: Ask) -> _Outcome:
        started = self._clock.monotonic()
        empty: Found[SearchAnswer] | None = None
        failure: str | None = None
        tally = Tally()
        deadline = started + ask.timeout_seconds
        try:
            async with asyncio.timeout(ask.timeout_seconds):
                for provider in self._providers:
                    try:
                        found = await self._ask(provider, query, ask, tally, deadline)
                    except BoundaryError as error:
                        failure = error.code
                        continue
                    if found.value.results:
                        return _Outcome(query, found, None, self._clock.monotonic() - started, tally)
                    empty = empty or found
        except TimeoutError:
            failure = "timeout"
        if failure is None and empty is None:
            failure = "no_provider"
        return _Outcome(query, None if failure else empty, failure, self._clock.monotonic() - started, tally)

    async def _ask(
        self, provider: SearchProvider, query: str, ask: Ask, tally: Tally, deadline: float
    ) -> Found[SearchAnswer]:
        # As published the engine is asked for everything; what the policy refuses is left out of its answer.
        sources = ANY_SOURCE if ask.fidelity == "published" else ask.sources

        # A provider that cannot answer in time says so at once, and the next one has what time is left.
        longest = min(
            PROVIDER_SECONDS if provider is self._providers[-1] else FALLBACK_SECONDS,
            deadline - self._clock.monotonic(),
        )

        async def once(seconds: float) -> SearchAnswer:
            return await provider.search(query, tenant_id=ask.tenant_id, timeout_seconds=seconds, sources=sources)

        async def produce(tally: Tally) -> Produced[SearchAnswer]:
            answer = await self._governor.call(
                provider, once, tenant_id=ask.tenant_id, timeout_seconds=longest, tally=tally
            )
            return Produced(
                answer,
                provider=answer.provider,
                status="found" if answer.results else "none",
                # A private corpus changes under its owner's hands and answers as fast as a cache.
                keep="recorded" if provider.private else "shared",
            )

        bucket = bucket_of(query, sources, year=self._clock.now().year)
        lookup = Lookup(
            kind="search",
            key=key_of(
                "search",
                provider.id,
                provider.cache_key,
                provider.locale(query),
                bucket,
                policy_key(sources),
                canonical_query(query),
            ),
            lifetime=self._cache.lifetimes.of_search(bucket),
            encode=_encoded,
            decode=_decoded,
            of_tenant=provider.private,
        )
        return await self._cache.get(lookup, ask=ask, tally=tally, produce=produce)


def _encoded(answer: SearchAnswer) -> dict[str, object]:
    results = [[one.title, one.link, one.snippet, one.date, one.source] for one in answer.results]
    return {"listed": answer.listed, "results": results}


def _decoded(entry: Entry) -> SearchAnswer:
    rows, listed = entry.value["results"], entry.value["listed"]
    if not isinstance(rows, list) or not isinstance(listed, bool) or entry.status != ("found" if rows else "none"):
        raise ValueError("not a search answer")
    for row in rows:
        if not isinstance(row, list) or not all(isinstance(text, str) for text in row[:2]):
            raise ValueError("not a search result")
        if not all(text is None or isinstance(text, str) for text in row[2:]):
            raise ValueError("not a search result")
    return SearchAnswer(entry.provider, tuple(SearchResult(*row) for row in rows), listed=listed)


def _failure_text(query: str, failure: str | None) -> str:
    if failure in formatting.CACHE_ONLY:
        return formatting.cache_only_text(query, failure)
    return formatting.search_failed_text(query)


def _item(outcome: _Outcome, profile: Profile, seen: set[str], rules: SourceRules) -> ToolItem:
    """`seen`: links that earlier queries of the call listed; training left duplicates out."""
    query = outcome.query
    if outcome.found is None:
        return ToolItem(
            kind="search",
            target=query,
            ok=False,
            status=outcome.failure,
            text=_failure_text(query, outcome.failure),
            elapsed_seconds=outcome.elapsed_seconds,
            cost_usd=outcome.tally.cost_usd,
            tried=outcome.tally.tries,
        )
    answer = outcome.found.value
    filtered = rules.results(answer.results, now=datetime.fromtimestamp(outcome.found.entry_at, UTC))
    results: Sequence[SearchResult] = filtered.results
    if profile == "training":
        results = formatting.for_training(results, seen)
    listed = bool(results) or (answer.listed and profile == "inference" and not filtered.left_out)
    text = formatting.search_text(query, results, profile) if listed else formatting.no_results_text(query)
    if filtered.left_out:
        text += f"\n\n{left_out_line(filtered.left_out)}"
    return ToolItem(
        kind="search",
        target=query,
        ok=True,
        provider=answer.provider,
        status="found" if results else "none",
        results=[{"title": result.title, "url": result.link} for result in results],
        text=text,
        cache=outcome.found.cache,
        fetched_at=outcome.found.at,
        elapsed_seconds=outcome.elapsed_seconds,
        cost_usd=outcome.tally.cost_usd,
        tried=outcome.tally.tries,
        left_out=filtered.left_out,
        recorded=outcome.found.recorded,
    )
