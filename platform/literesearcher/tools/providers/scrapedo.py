"""scrape.do: `GET {base}/?token=…&url=…` answers with the page's HTML as a browser rendered it.

The key travels in the URL, the only place the provider takes it. It is read at the call, and the wire's errors and
logs never hold a URL; nothing else here may log one.
"""

from __future__ import annotations

from urllib.parse import quote

from pydantic import SecretStr
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.perimeter.guard import Guard
from literesearcher.tools.providers.declared import final_url
from literesearcher.tools.providers.port import BUSY, FetchedPage, fetched_page
from literesearcher.tools.providers.target import spelled
from literesearcher.tools.providers.wire import Refusal, Wire, key_refused, quota_spent

TRY_SECONDS = 60.0
RENDERING = "render=true&customWait=2000"
"""As published: a rendered page, after two seconds."""


class ScrapedoPages:
    """Pages through scrape.do."""

    id = "scrapedo"
    private = False
    policy = BUSY

    def __init__(
        self,
        *,
        api_key: SecretStr,
        base_url: str,
        wire: Wire,
        guard: Guard,
        reader: PageReader,
        self_hosted: bool = False,
    ) -> None:
        self._key = api_key
        self._base = base_url.rstrip("/")
        self._wire = wire
        self._guard = guard
        self._self_hosted = self_hosted
        self._reader = reader
        self.cache_key = f"scrapedo {base_url}"

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        """The rendered page as text."""
        checked = await self._guard.check_for_remote_reader(url, self_hosted=self._self_hosted)
        token = quote(self._key.get_secret_value(), safe="")
        answer = await self._wire.ask(
            self.id,
            "GET",
            URL(f"{self._base}/?token={token}&url={quote(spelled(url, checked), safe='')}&{RENDERING}", encoded=True),
            timeout_seconds=min(TRY_SECONDS, timeout_seconds),
            judge=_judged,
        )
        page = await self._reader.read(answer.body, answer.content_type, answer.charset, url=url, tenant_id=tenant_id)
        return fetched_page(self.id, page, url=final_url(answer.headers.get("Scrape.do-Resolved-Url")))


def _judged(refusal: Refusal) -> BoundaryError | None:
    """As documented: 401 is an account without credits or suspended (a token that is unknown answers 401 too, and says
    so), 429 one request too many at once, 404 and 400 what the site said."""
    if refusal.status == 401:
        return key_refused("scrapedo") if refusal.says(b"token") else quota_spent("scrapedo")
    if refusal.status == 429 and refusal.says(b"credit", b"quota", b"monthly"):
        return quota_spent("scrapedo")
    if refusal.status == 404:
        return BoundaryError("the site answered 404", code="page_missing")
    if refusal.status == 400:
        return BoundaryError("the site or scrapedo answered 400", code="page_status")
    return None
