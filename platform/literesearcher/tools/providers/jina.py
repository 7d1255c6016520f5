"""Jina Reader: `GET {base}/{url}` answers with the page as Markdown. A bearer key is optional.

Owns: its request. Refuses to know: what a page says, other providers. The target is checked before it is handed over.
"""

from __future__ import annotations

from pydantic import SecretStr
from yarl import URL

from literesearcher.reading.charset import decode
from literesearcher.tools.guard import Guard
from literesearcher.tools.providers.port import BUSY, FetchedPage
from literesearcher.tools.providers.target import spelled
from literesearcher.tools.providers.wire import Wire

TRY_SECONDS = 60.0


class JinaPages:
    """Pages through Jina Reader."""

    id = "jina"
    private = False
    policy = BUSY

    def __init__(self, *, api_key: SecretStr | None, base_url: str, wire: Wire, guard: Guard) -> None:
        self._key = api_key
        self._base = base_url.rstrip("/")
        self._wire = wire
        self._guard = guard
        self.cache_key = f"jina {base_url}"

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        """The page as the reader renders it."""
        checked = await self._guard.check_for_remote_reader(url)
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key else None
        answer = await self._wire.ask(
            self.id,
            "GET",
            URL(f"{self._base}/{spelled(url, checked)}", encoded=True),
            headers=headers,
            timeout_seconds=min(TRY_SECONDS, timeout_seconds),
        )
        text = decode(answer.body, answer.charset)
        return FetchedPage(self.id, text, _title(text))


def _title(text: str) -> str | None:
    first = text[:500].partition("\n")[0]
    return first.removeprefix("Title: ").strip() or None if first.startswith("Title: ") else None
