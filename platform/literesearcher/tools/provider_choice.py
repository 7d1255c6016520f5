"""Every provider by name, made from its section of the settings: the one place that knows them all.

Owns: the wire, the page reader and the guard that the providers share, and what a provider cannot do without. Refuses
to know: order and fall-back (`search`, `pages.fetch_chain`). Above: `assembly`.
"""

from __future__ import annotations

from pydantic import SecretStr

from literesearcher.errors import ConfigurationError
from literesearcher.settings.model import Settings
from literesearcher.settings.provider_sections import ProviderSection, ReaderSection
from literesearcher.timing.clock import Clock
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.perimeter.guard import Guard
from literesearcher.tools.providers.brave import BraveSearch
from literesearcher.tools.providers.direct import DirectPages
from literesearcher.tools.providers.firecrawl import FirecrawlPages
from literesearcher.tools.providers.jina import JinaPages
from literesearcher.tools.providers.local import Library, LocalPages, LocalSearch
from literesearcher.tools.providers.port import Crossing, PageProvider, SearchProvider
from literesearcher.tools.providers.scrapedo import ScrapedoPages
from literesearcher.tools.providers.searxng import SearxngSearch
from literesearcher.tools.providers.serper import SerperSearch
from literesearcher.tools.providers.tavily import TavilySearch
from literesearcher.tools.providers.wire import Wire


class ProviderChoice:
    """Makes providers, and closes what they share."""

    def __init__(self, settings: Settings, clock: Clock, corpus: Library | None, guard: Guard) -> None:
        self._settings = settings
        self._clock = clock
        self._corpus = corpus
        self.guard = guard
        self._wire = Wire(clock=clock)
        self.reader = PageReader()
        self._direct: DirectPages | None = None

    def search(self, name: str) -> SearchProvider:
        """`ConfigurationError` where its key, base URL or corpus is missing."""
        if name == "local":
            return LocalSearch(self._library())
        section: ProviderSection = getattr(self._settings, name)
        base_url, wire = _base(name, section), self._wire
        if name == "searxng":
            return SearxngSearch(api_key=section.api_key, base_url=base_url, wire=wire)
        key = _key(name, section)
        if name == "brave":
            return BraveSearch(api_key=key, base_url=base_url, wire=wire, clock=self._clock)
        if name == "tavily":
            return TavilySearch(api_key=key, base_url=base_url, wire=wire)
        return SerperSearch(api_key=key, base_url=base_url, wire=wire)

    def pages(self, name: str, *, crossing: Crossing) -> PageProvider:
        """`ConfigurationError` where its key, base URL or corpus is missing. `crossing`: for redirects."""
        if name == "local":
            return LocalPages(self._library())
        if name == "direct":
            self._direct = DirectPages(guard=self.guard, reader=self.reader, crossing=crossing)
            return self._direct
        section: ReaderSection = getattr(self._settings, name)
        base_url, wire, guard, self_hosted = _base(name, section), self._wire, self.guard, section.sees_our_network
        if name == "jina":
            return JinaPages(
                api_key=section.api_key,
                base_url=base_url,
                wire=wire,
                guard=guard,
                reader=self.reader,
                self_hosted=self_hosted,
            )
        if name == "firecrawl":
            key = section.api_key if section.own_base else _key(name, section)
            return FirecrawlPages(api_key=key, base_url=base_url, wire=wire, guard=guard, self_hosted=self_hosted)
        return ScrapedoPages(
            api_key=_key(name, section),
            base_url=base_url,
            wire=wire,
            guard=guard,
            reader=self.reader,
            self_hosted=self_hosted,
        )

    def _library(self) -> Library:
        if self._corpus is None:
            raise ConfigurationError("the provider `local` is listed, but no local corpus was opened")
        return self._corpus

    async def aclose(self) -> None:
        """Close connections, worker processes and the guard. Safe to call twice."""
        await self._wire.aclose()
        if self._direct is not None:
            await self._direct.aclose()
        await self.reader.aclose()
        self.guard.close()


def _key(provider: str, section: ProviderSection) -> SecretStr:
    if section.api_key is None or not section.api_key.get_secret_value():
        raise ConfigurationError(
            f"the provider `{provider}` is listed, but it has no key: set LITERESEARCHER_{provider.upper()}__API_KEY"
        )
    return section.api_key


def _base(provider: str, section: ProviderSection) -> str:
    if not section.base_url or not section.base_url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"LITERESEARCHER_{provider.upper()}__BASE_URL must be a URL that starts with http:// or https://"
        )
    return section.base_url
