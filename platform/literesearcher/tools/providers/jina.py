"""Jina Reader: `GET {base}/{url}` answers with the page as Markdown. A bearer key is optional.

Owns: its request, and the heading lines of its text (`Title:`, `URL Source:`, `Published Time:`), which stay part of
it. Refuses to know: what a page says, other providers. The target is checked before it is handed over.
"""

from __future__ import annotations

from pydantic import SecretStr
from yarl import URL

from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.perimeter.guard import Guard
from literesearcher.tools.providers.declared import day, final_url
from literesearcher.tools.providers.port import BUSY, FetchedPage
from literesearcher.tools.providers.target import spelled
from literesearcher.tools.providers.wire import Wire

TRY_SECONDS = 60.0
_HEADING = ("Title", "URL Source", "Published Time")
_HEADING_CHARACTERS = 4096


class JinaPages:
    """Pages through Jina Reader."""

    id = "jina"
    private = False
    policy = BUSY

    def __init__(
        self,
        *,
        api_key: SecretStr | None,
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
        self._reader = reader
        self._self_hosted = self_hosted
        self.cache_key = f"jina {base_url}"

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        """The page as the reader renders it."""
        checked = await self._guard.check_for_remote_reader(url, self_hosted=self._self_hosted)
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key else None
        answer = await self._wire.ask(
            self.id,
            "GET",
            URL(f"{self._base}/{spelled(url, checked)}", encoded=True),
            headers=headers,
            timeout_seconds=min(TRY_SECONDS, timeout_seconds),
        )
        page = await self._reader.plain(answer.body, answer.charset, tenant_id=tenant_id)
        heading = _heading(page.text)
        return FetchedPage(
            self.id,
            page.text,
            heading.get("Title"),
            url=final_url(heading.get("URL Source")),
            published=day(heading.get("Published Time")),
            cut_characters=page.cut_characters,
        )


def _heading(text: str) -> dict[str, str]:
    """The lines `NAME: VALUE` before the first that is neither such a line nor empty; the first of a name counts."""
    found: dict[str, str] = {}
    for line in text[:_HEADING_CHARACTERS].split("\n"):
        name, colon, value = line.partition(": ")
        if line.strip() and (not colon or name not in _HEADING):
            break
        if value.strip():
            found.setdefault(name, value.strip())
    return found
