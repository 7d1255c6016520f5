"""A SearXNG instance of the operator's: `GET {base}/search?q=…&format=json`.

Owns: its request, reading its answer, and telling an instance whose engines are all blocked from a search without
results. A source policy goes out as `site:` operators and one language; dates are left to the check of the results, for
its time ranges are relative. Refuses to know: which engines the instance asks, how results are rendered.
"""

from __future__ import annotations

import re

from pydantic import SecretStr
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.tools.providers.declared import day
from literesearcher.tools.providers.json_answer import json_object, objects, text
from literesearcher.tools.providers.locale_rule import from_china, one_language
from literesearcher.tools.providers.narrowing import with_sites
from literesearcher.tools.providers.port import SEARCHES, SearchAnswer, SearchResult
from literesearcher.tools.providers.wire import MAX_JSON_BYTES, Judge, Refusal, Wire

TRY_SECONDS = 30.0
RESULTS = 10
_COMMAND = re.compile(r"(?<!\S)(?:[!:<]+(?=\S)|!+(?!\S))")
"""`!engine`, `!!bang`, `:language` and `<timeout` steer the instance when they begin a word: a query is text only."""
_NO_QUERY = "no_query"
_REGIONS = {"en": "en-US", "zh": "zh-CN"}


class _AnyCode:
    def __contains__(self, code: object) -> bool:
        return True


class SearxngSearch:
    """Meta search through the operator's instance."""

    id = "searxng"
    private = False
    policy = SEARCHES

    def __init__(self, *, api_key: SecretStr | None, base_url: str, wire: Wire) -> None:
        self._key = api_key
        self._url = URL(base_url.rstrip("/") + "/search")
        self._wire = wire
        self.cache_key = f"searxng {base_url}"

    async def search(
        self, query: str, *, tenant_id: str, timeout_seconds: float, sources: SourcePolicy = ANY_SOURCE
    ) -> SearchAnswer:
        """One query, one try."""
        asked = {
            "q": with_sites(_COMMAND.sub("", query), sources),
            "format": "json",
            "language": _language(query, sources),
        }
        return _read(await self._asked(asked, timeout_seconds, _judged))

    def locale(self, query: str) -> str:
        """`zh-CN` or `en-US`."""
        return _language(query, ANY_SOURCE)

    async def check(self, *, timeout_seconds: float) -> None:
        """Does the instance answer, and in JSON? Asks for nothing, so that no engine is bothered. `BoundaryError`."""
        try:
            await self._asked({"format": "json"}, timeout_seconds, _judged_without_query)
        except BoundaryError as error:
            if error.code != _NO_QUERY:
                raise

    async def _asked(self, fields: dict[str, str], timeout_seconds: float, judge: Judge) -> bytes:
        # SearXNG knows no keys; one is for a proxy before it.
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key else None
        answer = await self._wire.ask(
            self.id,
            "GET",
            self._url.with_query(fields),
            headers=headers,
            timeout_seconds=min(TRY_SECONDS, timeout_seconds),
            max_bytes=MAX_JSON_BYTES,
            judge=judge,
        )
        return answer.body


def _language(query: str, sources: SourcePolicy) -> str:
    """Any code will do: an engine that does not know it searches in all languages."""
    code = one_language(query, sources.languages, _AnyCode()) or ("zh" if from_china(query) else "en")
    return _REGIONS.get(code, code)


def _judged(refusal: Refusal) -> BoundaryError | None:
    if refusal.status != 403:
        return None
    return BoundaryError(
        "searxng answered 403: its settings.yml must list `json` under search.formats", code="provider_json_off"
    )


def _judged_without_query(refusal: Refusal) -> BoundaryError | None:
    """An instance that gives JSON answers `{"error": "No query"}` with 400, after it has judged the format."""
    return BoundaryError("searxng answered 400", code=_NO_QUERY) if refusal.status == 400 else _judged(refusal)


def _read(body: bytes) -> SearchAnswer:
    data = json_object("searxng", body)
    items = objects("searxng", data.get("results"))
    if not items and data.get("unresponsive_engines"):
        # `[["google", "too many requests"], …]`: nobody looked, so nothing is known of what there is.
        raise BoundaryError(
            "searxng: its engines did not answer and there are no results", code="provider_busy", transient=True
        )
    results = tuple(
        SearchResult(
            title=text(item.get("title")) or "",
            link=text(item.get("url")) or "",
            snippet=text(item.get("content")) or None,
            date=day(item.get("publishedDate")),
        )
        for item in items[:RESULTS]
    )
    return SearchAnswer("searxng", results)
