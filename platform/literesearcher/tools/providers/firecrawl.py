"""Firecrawl: `POST {base}/v2/scrape` answers with the page as Markdown, rendered by a browser where it must be.

Owns: its request and reading its answer. Refuses to know: what a page says, other providers. The target is checked
before it is handed over. A key is optional for an instance of the operator's own.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import SecretStr
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.tools.perimeter.guard import Guard
from literesearcher.tools.providers.declared import day, final_url, language
from literesearcher.tools.providers.json_answer import garbage, json_object, text
from literesearcher.tools.providers.port import BUSY, FetchedPage
from literesearcher.tools.providers.target import spelled
from literesearcher.tools.providers.wire import Refusal, Wire, key_refused

TRY_SECONDS = 60.0


class FirecrawlPages:
    """Pages through Firecrawl."""

    id = "firecrawl"
    private = False
    policy = BUSY

    def __init__(
        self, *, api_key: SecretStr | None, base_url: str, wire: Wire, guard: Guard, self_hosted: bool = False
    ) -> None:
        self._key = api_key
        self._url = URL(base_url.rstrip("/") + "/v2/scrape")
        self._wire = wire
        self._guard = guard
        self._self_hosted = self_hosted
        self.cache_key = f"firecrawl {base_url}"

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        """The page as Markdown; `BoundaryError` `page_missing`, `page_status` where the site said so."""
        checked = await self._guard.check_for_remote_reader(url, self_hosted=self._self_hosted)
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        answer = await self._wire.ask(
            self.id,
            "POST",
            self._url,
            headers=headers,
            body=orjson.dumps({"url": spelled(url, checked), "formats": ["markdown"], "onlyMainContent": True}),
            timeout_seconds=min(TRY_SECONDS, timeout_seconds),
            judge=_judged,
        )
        return _read(answer.body)


def _judged(refusal: Refusal) -> BoundaryError | None:
    """403 is about the site unless the body says that the key is at fault."""
    if refusal.status != 403:
        return None
    if refusal.says(b"support this site", b"unsupported_site", b"third_party_data"):
        return BoundaryError("firecrawl does not read this site", code="provider_rejected")
    return key_refused("firecrawl")


def _read(body: bytes) -> FetchedPage:
    data = json_object("firecrawl", body)
    if data.get("success") is False:
        # Told with 200 where the site cannot be reached, such as a name that does not resolve.
        raise BoundaryError("firecrawl could not read the page", code="page_unreachable")
    page = data.get("data")
    if not isinstance(page, dict):
        raise garbage("firecrawl", "an answer of an unknown shape")
    found = page.get("metadata")
    facts: dict[str, Any] = found if isinstance(found, dict) else {}
    status = facts.get("statusCode")
    if isinstance(status, int) and status >= 400:
        missing = status in (404, 410)
        raise BoundaryError(f"the site answered {status}", code="page_missing" if missing else "page_status")
    markdown = page.get("markdown")
    if not isinstance(markdown, str):
        raise garbage("firecrawl", "no Markdown")
    title = facts.get("title")
    if isinstance(title, list):  # a page with several
        title = next(iter(title), None)
    return FetchedPage(
        "firecrawl",
        text(markdown) or "",
        text(title) or None,
        url=final_url(facts.get("url")) or final_url(facts.get("sourceURL")),
        language=language(facts.get("language")),
        published=day(facts.get("publishedTime")),
    )
