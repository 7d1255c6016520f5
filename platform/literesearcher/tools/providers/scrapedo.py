"""scrape.do: `GET {base}/?token=…&url=…` answers with the page's HTML as a browser rendered it.

The key travels in the URL, the only place the provider takes it. It is read at the call, and the wire's errors and
logs never hold a URL; nothing else here may log one.
"""

from __future__ import annotations

from urllib.parse import quote

from pydantic import SecretStr
from yarl import URL

from literesearcher.tools.guard import Guard
from literesearcher.tools.page_text import PageReader
from literesearcher.tools.providers.port import BUSY, FetchedPage
from literesearcher.tools.providers.target import spelled
from literesearcher.tools.providers.wire import Wire

TRY_SECONDS = 60.0
RENDERING = "render=true&customWait=2000"
"""As published: a rendered page, after two seconds."""


class ScrapedoPages:
    """Pages through scrape.do."""

    id = "scrapedo"
    private = False
    policy = BUSY

    def __init__(self, *, api_key: SecretStr, base_url: str, wire: Wire, guard: Guard, reader: PageReader) -> None:
        self._key = api_key
        self._base = base_url.rstrip("/")
        self._wire = wire
        self._guard = guard
        self._reader = reader
        self.cache_key = f"scrapedo {base_url}"

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        """The rendered page as text."""
        checked = await self._guard.check_for_remote_reader(url)
        token = quote(self._key.get_secret_value(), safe="")
        answer = await self._wire.ask(
            self.id,
            "GET",
            URL(f"{self._base}/?token={token}&url={quote(spelled(url, checked), safe='')}&{RENDERING}", encoded=True),
            timeout_seconds=min(TRY_SECONDS, timeout_seconds),
        )
        page = await self._reader.read(answer.body, answer.content_type, answer.charset, url=url)
        return FetchedPage(self.id, page.text, page.title)
