"""What the doctor says of search and page providers: which are in force, what each lacks, what could be added.

Owns: the sentences. Only an instance of the operator's own is asked; a provider that counts requests is not. Refuses to
know: how findings are shown.
"""

from __future__ import annotations

from literesearcher.settings.model import Settings
from literesearcher.settings.provider_sections import ProviderSection
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.providers.searxng import SearxngSearch
from literesearcher.tools.providers.wire import Wire

ANSWER_SECONDS = 10.0


async def told_of_search(settings: Settings) -> str:
    """One sentence. `BoundaryError` where the operator's own instance does not answer, or not in JSON."""
    told = []
    for name in settings.search_providers:
        if name == "searxng":
            await _check_searxng(settings)
            told.append(f"searxng ({settings.searxng.base_url} answers)")
        elif name == "local":
            told.append(name)
        else:
            told.append(f"{name} (a key is set; no query was spent on trying it{_price(settings, name)})")
    return ", ".join(told)


def told_of_pages(settings: Settings) -> str:
    """One sentence."""
    told = []
    for name in settings.page_providers:
        section = getattr(settings, name, None)
        if name in ("local", "direct") or section is None:
            told.append(name)
        elif section.own_base:
            told.append(f"{name} (at {section.base_url}{_price(settings, name)})")
        elif name == "jina" and section.api_key is None:
            told.append("jina (Jina Reader without a key: few pages a minute)")
        else:
            told.append(f"{name} (a key is set{_price(settings, name)})")
    return ", ".join(told)


def _price(settings: Settings, name: str) -> str:
    section: ProviderSection = getattr(settings, name)
    return f"; ${section.cost_usd:g} a request" if section.cost_usd else ""


async def _check_searxng(settings: Settings) -> None:
    section = settings.searxng
    wire = Wire(clock=SystemClock())
    try:
        instance = SearxngSearch(api_key=section.api_key, base_url=section.base_url or "", wire=wire)
        await instance.check(timeout_seconds=ANSWER_SECONDS)
    finally:
        await wire.aclose()
