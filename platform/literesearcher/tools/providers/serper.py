"""Google results through Serper: `POST {base}/search`.

Owns: its request, its five tries' waits, and reading its answer. A source policy goes out as `site:` operators and a
`tbs` date range; without one the request is the published one to the byte.
Refuses to know: how results are rendered.
"""

from __future__ import annotations

from datetime import date

import orjson
from pydantic import SecretStr
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.timing.retry import RetryPolicy
from literesearcher.tools.providers.json_answer import json_object, objects, text
from literesearcher.tools.providers.locale_rule import from_china
from literesearcher.tools.providers.narrowing import with_sites
from literesearcher.tools.providers.port import SearchAnswer, SearchResult
from literesearcher.tools.providers.wire import MAX_JSON_BYTES, Refusal, Wire, quota_spent

CHINA = {"location": "China", "gl": "cn", "hl": "zh-cn"}
UNITED_STATES = {"location": "United States", "gl": "us", "hl": "en"}

POLICY = RetryPolicy(tries=5, first_seconds=0.5, factor=2.0, jitter=0.1)
"""Five tries, waiting 0.5 * 2**i seconds, as published; a little jitter so that jobs do not march."""
TRY_SECONDS = 30.0


def locale_of(query: str) -> dict[str, str]:
    """A query with Chinese characters searches from China, any other from the United States."""
    return CHINA if from_china(query) else UNITED_STATES


class SerperSearch:
    """Serper's web search."""

    id = "serper"
    private = False
    policy = POLICY

    def __init__(self, *, api_key: SecretStr, base_url: str, wire: Wire) -> None:
        self._key = api_key
        self._url = URL(base_url.rstrip("/") + "/search")
        self._wire = wire
        self.cache_key = f"serper {base_url}"

    async def search(
        self, query: str, *, tenant_id: str, timeout_seconds: float, sources: SourcePolicy = ANY_SOURCE
    ) -> SearchAnswer:
        """One query, one try."""
        answer = await self._wire.ask(
            self.id,
            "POST",
            self._url,
            headers={"X-API-KEY": self._key.get_secret_value(), "Content-Type": "application/json"},
            body=orjson.dumps({"q": with_sites(query, sources)} | locale_of(query) | _dates(sources)),
            timeout_seconds=min(TRY_SECONDS, timeout_seconds),
            max_bytes=MAX_JSON_BYTES,
            judge=_judged,
        )
        return _read(answer.body)

    def locale(self, query: str) -> str:
        """`cn zh-cn` or `us en`."""
        place = locale_of(query)
        return f"{place['gl']} {place['hl']}"


def _dates(sources: SourcePolicy) -> dict[str, str]:
    """Google's own date range, `MM/DD/YYYY` on either side."""
    sides = (("cd_min", sources.published_after), ("cd_max", sources.published_before))
    told = [f"{name}:{date.fromisoformat(day):%m/%d/%Y}" for name, day in sides if day]
    return {"tbs": ",".join(["cdr:1", *told])} if told else {}


def _judged(refusal: Refusal) -> BoundaryError | None:
    """An account without credits is told with 400 or 403 and `{"message": "Not enough credits"}`."""
    spent = refusal.status in (400, 403) and refusal.says(b"not enough credits")
    return quota_spent("serper") if spent else None


def _read(body: bytes) -> SearchAnswer:
    organic = json_object("serper", body).get("organic")
    if organic is None:
        return SearchAnswer("serper", (), listed=False)
    results = tuple(
        SearchResult(
            title=text(item.get("title")) or "",
            link=text(item.get("link")) or "",
            snippet=text(item.get("snippet")),
            date=text(item.get("date")),
            source=text(item.get("source")),
        )
        for item in objects("serper", organic)
    )
    return SearchAnswer("serper", results)
