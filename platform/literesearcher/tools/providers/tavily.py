"""Tavily: `POST {base}/search`, results with longer extracts.

Owns: its request and reading its answer. A source policy goes out in its fields for domains and dates; it has none for
languages. Refuses to know: how results are rendered.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import SecretStr
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.tools.providers.declared import day
from literesearcher.tools.providers.json_answer import json_object, objects, text
from literesearcher.tools.providers.locale_rule import from_china
from literesearcher.tools.providers.port import SEARCHES, SearchAnswer, SearchResult
from literesearcher.tools.providers.wire import MAX_JSON_BYTES, Refusal, Wire, quota_spent

TRY_SECONDS = 30.0
RESULTS = 10
MAX_CHARACTERS = 400
"""Of a query; a longer one is refused with 400, so it is cut."""
MAX_INCLUDED = 300
MAX_EXCLUDED = 150


class TavilySearch:
    """Tavily's basic search, one credit a query."""

    id = "tavily"
    private = False
    policy = SEARCHES

    def __init__(self, *, api_key: SecretStr, base_url: str, wire: Wire) -> None:
        self._key = api_key
        self._url = URL(base_url.rstrip("/") + "/search")
        self._wire = wire
        self.cache_key = f"tavily {base_url}"

    async def search(
        self, query: str, *, tenant_id: str, timeout_seconds: float, sources: SourcePolicy = ANY_SOURCE
    ) -> SearchAnswer:
        """One query, one try."""
        asked = {
            "query": query[:MAX_CHARACTERS],
            "topic": "general",
            "search_depth": "basic",
            "max_results": RESULTS,
            "country": self.locale(query),
        }
        answer = await self._wire.ask(
            self.id,
            "POST",
            self._url,
            headers={"Authorization": f"Bearer {self._key.get_secret_value()}", "Content-Type": "application/json"},
            body=orjson.dumps(asked | _narrowed(sources)),
            timeout_seconds=min(TRY_SECONDS, timeout_seconds),
            max_bytes=MAX_JSON_BYTES,
            judge=_judged,
        )
        return _read(answer.body)

    def locale(self, query: str) -> str:
        """`china` or `united states`, whose pages are put first."""
        return "china" if from_china(query) else "united states"


def _narrowed(sources: SourcePolicy) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if sources.allow_domains and len(sources.allow_domains) <= MAX_INCLUDED:
        fields["include_domains"] = [_domain(domain) for domain in sources.allow_domains]
    if sources.deny_domains:
        fields["exclude_domains"] = [_domain(domain) for domain in sources.deny_domains[:MAX_EXCLUDED]]
    if sources.published_after:
        fields["start_date"] = sources.published_after
    if sources.published_before:
        fields["end_date"] = sources.published_before
    return fields


def _domain(domain: str) -> str:
    """An ending such as `.gov` is `*.gov` there."""
    return f"*{domain}" if domain.startswith(".") else domain


def _judged(refusal: Refusal) -> BoundaryError | None:
    """432: the plan's limit is reached, 433: the one set for paying as you go."""
    return quota_spent("tavily") if refusal.status in (432, 433) else None


def _read(body: bytes) -> SearchAnswer:
    items = objects("tavily", json_object("tavily", body).get("results"))
    results = tuple(
        SearchResult(
            title=text(item.get("title")) or "",
            link=text(item.get("url")) or "",
            snippet=text(item.get("content")),
            date=day(item.get("published_date")),
        )
        for item in items[:RESULTS]
    )
    return SearchAnswer("tavily", results)
