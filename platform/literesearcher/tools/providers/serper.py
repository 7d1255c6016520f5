"""Google results through Serper: `POST {base}/search`.

Owns: its request, the locale rule, its five tries' waits, and reading its answer.
Refuses to know: how results are rendered.
"""

from __future__ import annotations

import json
import re

import orjson
from pydantic import SecretStr
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.reading.unicode_text import valid_unicode
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.timing.retry import RetryPolicy
from literesearcher.tools.providers.port import SearchAnswer, SearchResult
from literesearcher.tools.providers.wire import Wire

_CJK = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
CHINA = {"location": "China", "gl": "cn", "hl": "zh-cn"}
UNITED_STATES = {"location": "United States", "gl": "us", "hl": "en"}

POLICY = RetryPolicy(tries=5, first_seconds=0.5, factor=2.0, jitter=0.1)
"""Five tries, waiting 0.5 * 2**i seconds, as published; a little jitter so that jobs do not march."""
TRY_SECONDS = 30.0


def locale_of(query: str) -> dict[str, str]:
    """A query with Chinese characters searches from China, any other from the United States."""
    return CHINA if _CJK.search(query) else UNITED_STATES


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
            body=orjson.dumps({"q": query} | locale_of(query)),
            timeout_seconds=min(TRY_SECONDS, timeout_seconds),
        )
        return _read(answer.body)

    def locale(self, query: str) -> str:
        """`cn zh-cn` or `us en`."""
        place = locale_of(query)
        return f"{place['gl']} {place['hl']}"


def _read(body: bytes) -> SearchAnswer:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        # The standard reader takes what orjson refuses, such as lone surrogates, which are replaced below.
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            raise BoundaryError("serper sent no JSON", code="provider_garbage", transient=True) from None
    if not isinstance(data, dict):
        raise BoundaryError("serper sent no JSON object", code="provider_garbage", transient=True)
    organic = data.get("organic")
    if organic is None:
        return SearchAnswer("serper", (), listed=False)
    if not isinstance(organic, list):
        raise BoundaryError("serper sent results of an unknown shape", code="provider_garbage", transient=True)
    return SearchAnswer("serper", tuple(_result(item) for item in organic if isinstance(item, dict)))


def _result(item: dict[str, object]) -> SearchResult:
    def text(name: str) -> str | None:
        value = item.get(name)
        return None if value is None else valid_unicode(str(value))

    return SearchResult(
        title=text("title") or "",
        link=text("link") or "",
        snippet=text("snippet"),
        date=text("date"),
        source=text("source"),
    )
