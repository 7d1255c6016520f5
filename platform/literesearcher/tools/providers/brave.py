"""Brave's own index: `GET {base}/res/v1/web/search`.

Owns: its request and reading its answer. A source policy goes out as an inline goggle (domains), `freshness` (dates)
and `search_lang` (one language). Refuses to know: how results are rendered.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import SecretStr
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.timing.clock import Clock
from literesearcher.tools.providers.declared import day
from literesearcher.tools.providers.json_answer import garbage, json_object, objects, plain, refusal_object, text
from literesearcher.tools.providers.locale_rule import from_china, one_language
from literesearcher.tools.providers.port import SEARCHES, SearchAnswer, SearchResult
from literesearcher.tools.providers.wire import MAX_JSON_BYTES, Refusal, Wire, key_refused, quota_spent

TRY_SECONDS = 30.0
RESULTS = 10
MAX_CHARACTERS = 400
MAX_WORDS = 50
"""What Brave takes of a query; a longer one is refused with 422, so it is cut."""
MAX_RULES = 100
_FIRST_DAY = "1970-01-01"
_MAX_RESET_SECONDS = 60.0

# fmt: off
_LANGUAGES = {code: code for code in (
    "ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fi", "fr", "gl", "gu", "he", "hi", "hr",
    "hu", "is", "it", "kn", "ko", "lt", "lv", "ml", "mr", "ms", "nb", "nl", "pa", "pl", "ro", "ru", "sk", "sl", "sr",
    "sv", "ta", "te", "th", "tr", "uk", "vi",
)} | {"zh": "zh-hans", "ja": "jp", "pt": "pt-br", "no": "nb"}
# fmt: on
"""ISO 639-1 to what `search_lang` takes."""


class BraveSearch:
    """Brave's web search."""

    id = "brave"
    private = False
    policy = SEARCHES

    def __init__(self, *, api_key: SecretStr, base_url: str, wire: Wire, clock: Clock) -> None:
        self._key = api_key
        self._url = URL(base_url.rstrip("/") + "/res/v1/web/search")
        self._wire = wire
        self._clock = clock
        self.cache_key = f"brave {base_url}"

    async def search(
        self, query: str, *, tenant_id: str, timeout_seconds: float, sources: SourcePolicy = ANY_SOURCE
    ) -> SearchAnswer:
        """One query, one try."""
        asked = {"q": _cut(query), **_place(query, sources), "count": str(RESULTS), "text_decorations": "false"}
        goggle = _goggle(sources)
        if goggle:
            asked["goggles"] = goggle
        if sources.published_after or sources.published_before:
            # A range has two ends; a day ahead, so that no time zone loses today's pages.
            last = sources.published_before or date.fromordinal(self._clock.now().toordinal() + 1).isoformat()
            asked["freshness"] = f"{sources.published_after or _FIRST_DAY}to{last}"
        answer = await self._wire.ask(
            self.id,
            "GET",
            self._url.with_query(asked),
            headers={"X-Subscription-Token": self._key.get_secret_value(), "Accept": "application/json"},
            timeout_seconds=min(TRY_SECONDS, timeout_seconds),
            max_bytes=MAX_JSON_BYTES,
            judge=_judged,
        )
        return _read(answer.body)

    def locale(self, query: str) -> str:
        """`CN zh-hans` or `US en`."""
        return " ".join(_place(query, ANY_SOURCE).values())


def _cut(query: str) -> str:
    if len(query) > MAX_CHARACTERS or len(query.split()) > MAX_WORDS:
        return " ".join(query.split()[:MAX_WORDS])[:MAX_CHARACTERS]
    return query


def _place(query: str, sources: SourcePolicy) -> dict[str, str]:
    country = "CN" if from_china(query) else "US"
    code = one_language(query, sources.languages, _LANGUAGES)
    return {"country": country, "search_lang": _LANGUAGES[code]} if code else {"country": country}


def _goggle(sources: SourcePolicy) -> str:
    """Rules for domains. Endings such as `.gov` are no sites to a goggle, and a list with one does not narrow."""
    rules: list[str] = []
    allowed = sources.allow_domains
    if allowed and len(allowed) < MAX_RULES and not any(domain.startswith(".") for domain in allowed):
        rules = ["$discard", *(f"$site={domain}" for domain in allowed)]
    rules += [f"$discard,site={domain}" for domain in sources.deny_domains if not domain.startswith(".")]
    return "\n".join(rules[:MAX_RULES])


def _judged(refusal: Refusal) -> BoundaryError | None:
    """`{"error": {"code", "meta"}}`: 429 says by its code whether a second or a month is over; a key is refused with
    422."""
    error = refusal_object(refusal.body).get("error")
    told: dict[str, Any] = error if isinstance(error, dict) else {}
    code = str(told.get("code", ""))
    if code == "QUOTA_LIMITED" or (refusal.status == 429 and _month_is_over(told.get("meta"))):
        return quota_spent("brave")
    if refusal.status == 429:
        return BoundaryError(
            "brave answered 429", code="provider_busy", transient=True, retry_after=_reset(refusal.headers)
        )
    return key_refused("brave") if "SUBSCRIPTION" in code else None


def _month_is_over(meta: object) -> bool:
    if not isinstance(meta, dict):
        return False
    current, limit = meta.get("quota_current"), meta.get("quota_limit")
    return isinstance(current, int) and isinstance(limit, int) and 0 < limit <= current


def _reset(headers: Any) -> float | None:
    """`X-RateLimit-Reset: 1, 1419704`: seconds until the windows begin anew, the shortest first."""
    first = headers.get("X-RateLimit-Reset", "").partition(",")[0].strip()
    return min(float(first), _MAX_RESET_SECONDS) if first.isdecimal() else None


def _read(body: bytes) -> SearchAnswer:
    data = json_object("brave", body)
    web = data.get("web")
    if web is None and data.get("type") == "search":
        return SearchAnswer("brave", (), listed=False)
    if not isinstance(web, dict):
        raise garbage("brave", "an answer of an unknown shape")
    return SearchAnswer("brave", tuple(_result(item) for item in objects("brave", web.get("results"))[:RESULTS]))


def _result(item: dict[str, Any]) -> SearchResult:
    profile = item.get("profile")
    return SearchResult(
        title=plain(item.get("title")) or "",
        link=text(item.get("url")) or "",
        snippet=plain(item.get("description")),
        # The age is relative ("2 days ago") and would grow wrong in a cache.
        date=day(item.get("page_age")) or text(item.get("age")),
        source=plain(profile.get("name")) if isinstance(profile, dict) else None,
    )
