"""A tool proxy from the settings.

Refuses to know: where the corpus, the extractor and the clock come from (the wiring hands them in), how a provider is
made (`provider_choice`).
"""

from __future__ import annotations

from literesearcher.settings.model import Settings
from literesearcher.settings.provider_sections import ProviderSection
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock
from literesearcher.tools.cache.lifetimes import Lifetimes
from literesearcher.tools.cache.memory import MemoryKept
from literesearcher.tools.cache.results import ResultCache
from literesearcher.tools.cache.shared import RedisKept
from literesearcher.tools.governor import Governor, Rules
from literesearcher.tools.limits.lanes import Limit
from literesearcher.tools.pages.cut import CountTokens
from literesearcher.tools.pages.extraction import Extractor
from literesearcher.tools.pages.fetch_chain import FetchChain
from literesearcher.tools.pages.kept_extraction import KeptExtractor
from literesearcher.tools.pages.kept_reading import KeptReading
from literesearcher.tools.pages.reading import PageReading
from literesearcher.tools.pages.shaping import PageShaping
from literesearcher.tools.pages.source import PageSource
from literesearcher.tools.perimeter.guard import Guard
from literesearcher.tools.perimeter.intranet import Intranet
from literesearcher.tools.provider_choice import ProviderChoice
from literesearcher.tools.providers.local import Library
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
    guard = guard or Guard(intranet=Intranet(settings.tools.intranet), clock=clock)
    parts = ProviderChoice(settings, clock, corpus, guard)
    link = _link(settings, clock, metrics)
    cache = _cache(settings, clock, metrics, link)
    governor = Governor(clock=clock, metrics=metrics, prices=_prices(settings), rules=_rules(settings), link=link)
    perimeter = settings.tools.intranet.keys()
    searches = [parts.search(name) for name in settings.search_providers]
    pages = [parts.pages(name, crossing=governor.crossing) for name in settings.page_providers]
    chain = FetchChain(
        pages,
        guard=parts.guard,
        clock=clock,
        governor=governor,
        metrics=metrics,
        shaping=PageShaping(parts.reader),
    )
    return ToolProxy(
        search=SearchTool(searches, cache=cache, clock=clock, governor=governor),
        visit=VisitTool(
            # A tenant with a way into the perimeter may reach it by any URL, redirects included.
            PageSource(
                chain, cache=cache, clock=clock, of_tenant=lambda tenant: not {tenant, "*"}.isdisjoint(perimeter)
            ),
            KeptReading(
                PageReading(
                    KeptExtractor(extractor, cache=cache), clock=clock, metrics=metrics, count_tokens=count_tokens
                ),
                extractor=extractor,
                cache=cache,
            ),
            clock=clock,
        ),
        cache=cache,
        clock=clock,
        metrics=metrics,
        fidelity=settings.tools.fidelity,
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


def _cache(settings: Settings, clock: Clock, metrics: ToolMetrics, link: RedisLink | None) -> ResultCache:
    """The cache, in Redis where there is one."""
    section = settings.tools
    return ResultCache(
        MemoryKept(clock=clock) if link is None else RedisKept(link, clock=clock),
        clock=clock,
        metrics=metrics,
        lifetimes=Lifetimes.of(section),
        sharing=section.cache_sharing,
        enabled=section.cache == "on",
    )


def _link(settings: Settings, clock: Clock, metrics: ToolMetrics) -> RedisLink | None:
    """The Redis of the tools, None where there is none."""
    url = settings.tools.redis_url or settings.redis.url
    if url is None:
        return None
    return RedisLink(url, clock=clock, metrics=metrics, timeout_seconds=settings.tools.redis_timeout_seconds)
