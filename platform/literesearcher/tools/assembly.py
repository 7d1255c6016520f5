"""A tool proxy from the settings: the one place that knows every provider by name.

Refuses to know: where the corpus, the extractor and the clock come from (the wiring hands them in).
"""

from __future__ import annotations

from pydantic import SecretStr

from literesearcher.errors import ConfigurationError
from literesearcher.settings.model import Settings
from literesearcher.settings.sections import ProviderSection
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock
from literesearcher.tools.cache import Reuse
from literesearcher.tools.extraction import Extractor
from literesearcher.tools.fetch_chain import FetchChain
from literesearcher.tools.governor import Governor, Rules
from literesearcher.tools.guard import Guard
from literesearcher.tools.kept_extraction import KeptExtractor
from literesearcher.tools.limits.lanes import Limit
from literesearcher.tools.page_cut import CountTokens
from literesearcher.tools.page_reading import PageReading
from literesearcher.tools.page_source import PageSource
from literesearcher.tools.page_text import PageReader
from literesearcher.tools.providers.direct import DirectPages
from literesearcher.tools.providers.jina import JinaPages
from literesearcher.tools.providers.local import Library, LocalPages, LocalSearch
from literesearcher.tools.providers.port import PageProvider, SearchProvider
from literesearcher.tools.providers.scrapedo import ScrapedoPages
from literesearcher.tools.providers.serper import SerperSearch
from literesearcher.tools.providers.wire import Wire
from literesearcher.tools.proxy import ToolProxy
from literesearcher.tools.redis_link import RedisLink
from literesearcher.tools.search import SearchTool
from literesearcher.tools.visit import VisitTool


def assemble(
    settings: Settings,
    *,
    extractor: Extractor,
    clock: Clock,
    corpus: Library | None = None,
    count_tokens: CountTokens | None = None,
    guard: Guard | None = None,
    metrics: ToolMetrics | None = None,
) -> ToolProxy:
    """The proxy that the settings describe. `ConfigurationError` where a listed provider lacks its key or corpus.

    The corpus and the extractor stay their owner's to close. `guard` is for tests; the default lets only public
    addresses through.
    """
    metrics = metrics or ToolMetrics()
    parts = _Parts(settings, clock, corpus, guard or Guard())
    reuse = Reuse(clock=clock, enabled=settings.tools.cache == "on")
    link = _link(settings, clock, metrics)
    governor = Governor(clock=clock, metrics=metrics, prices=_prices(settings), rules=_rules(settings), link=link)
    searches = [parts.search(name) for name in settings.search_providers]
    pages = [parts.pages(name) for name in settings.page_providers]
    chain = FetchChain(pages, guard=parts.guard, clock=clock, governor=governor)
    return ToolProxy(
        search=SearchTool(searches, reuse=reuse, clock=clock, governor=governor),
        visit=VisitTool(
            PageSource(chain, reuse=reuse),
            PageReading(KeptExtractor(extractor, reuse=reuse), clock=clock, count_tokens=count_tokens),
            clock=clock,
            fidelity=settings.tools.fidelity,
        ),
        reuse=reuse,
        clock=clock,
        metrics=metrics,
        prices={
            "search": sum(governor.price(provider.id) for provider in searches),
            "visit": sum(governor.price(provider.id) for provider in pages),
        },
        closers=(governor.aclose, parts.aclose, *([link.aclose] if link is not None else [])),
    )


def _sections(settings: Settings) -> dict[str, ProviderSection]:
    """Of the listed providers. The local corpus has none: it costs nothing and is not limited."""
    found = {name: getattr(settings, name, None) for name in (*settings.search_providers, *settings.page_providers)}
    return {name: section for name, section in found.items() if isinstance(section, ProviderSection)}


def _prices(settings: Settings) -> dict[str, float]:
    """USD a request by provider id."""
    return {name: section.cost_usd for name, section in _sections(settings).items()}


def _rules(settings: Settings) -> Rules:
    """What limits requests to providers and sites."""
    tools = settings.tools
    return Rules(
        providers={
            name: Limit(section.per_second, section.burst, section.concurrency)
            for name, section in _sections(settings).items()
        },
        # A site has no burst of its own: a second's worth at once.
        site=Limit(tools.host_per_second, max(1, round(tools.host_per_second)), tools.host_concurrency),
        hedge=tools.hedge,
        breaker_failures=tools.breaker_failures,
        breaker_seconds=tools.breaker_seconds,
    )


def _link(settings: Settings, clock: Clock, metrics: ToolMetrics) -> RedisLink | None:
    """The Redis of the tools, None where there is none."""
    url = settings.tools.redis_url or settings.redis.url
    if url is None:
        return None
    return RedisLink(url, clock=clock, metrics=metrics, timeout_seconds=settings.tools.redis_timeout_seconds)


class _Parts:
    def __init__(self, settings: Settings, clock: Clock, corpus: Library | None, guard: Guard) -> None:
        self._settings = settings
        self._corpus = corpus
        self.guard = guard
        self._wire = Wire(clock=clock)
        self._reader = PageReader()
        self._direct: DirectPages | None = None

    def search(self, name: str) -> SearchProvider:
        if name == "serper":
            section = self._settings.serper
            return SerperSearch(
                api_key=_key("serper", section.api_key),
                base_url=_base("serper", section.base_url),
                wire=self._wire,
            )
        return LocalSearch(self._library())

    def pages(self, name: str) -> PageProvider:
        if name == "direct":
            self._direct = DirectPages(guard=self.guard, reader=self._reader)
            return self._direct
        if name == "jina":
            jina = self._settings.jina
            return JinaPages(
                api_key=jina.api_key, base_url=_base("jina", jina.base_url), wire=self._wire, guard=self.guard
            )
        if name == "scrapedo":
            section = self._settings.scrapedo
            return ScrapedoPages(
                api_key=_key("scrapedo", section.api_key),
                base_url=_base("scrapedo", section.base_url),
                wire=self._wire,
                guard=self.guard,
                reader=self._reader,
            )
        return LocalPages(self._library())

    def _library(self) -> Library:
        if self._corpus is None:
            raise ConfigurationError("the provider `local` is listed, but no local corpus was opened")
        return self._corpus

    async def aclose(self) -> None:
        await self._wire.aclose()
        if self._direct is not None:
            await self._direct.aclose()
        self._reader.close()
        self.guard.close()


def _key(provider: str, key: SecretStr | None) -> SecretStr:
    if key is None or not key.get_secret_value():
        raise ConfigurationError(
            f"the provider `{provider}` is listed, but it has no key: set LITERESEARCHER_{provider.upper()}__API_KEY"
        )
    return key


def _base(provider: str, base_url: str | None) -> str:
    if not base_url or not base_url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"LITERESEARCHER_{provider.upper()}__BASE_URL must be a URL that starts with http:// or https://"
        )
    return base_url
