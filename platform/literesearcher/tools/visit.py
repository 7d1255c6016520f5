"""The visit tool: each page fetched and read for the goal, all pages at once, order kept.

Owns: the steps of one page, what becomes of each failure, where the job's source policy is asked. Refuses to know: how
a page is fetched, kept or read. Above: `tools.proxy`. Below: `sources.rules`, `pages.source`, `pages.reading`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from literesearcher.errors import BoundaryError
from literesearcher.research.events import ToolItem
from literesearcher.timing.clock import Clock
from literesearcher.tools import formatting
from literesearcher.tools.cache.lookup import NotKept, dearest
from literesearcher.tools.gathering import gathered
from literesearcher.tools.governor import Tally
from literesearcher.tools.pages.kept_reading import KeptReading
from literesearcher.tools.pages.source import FETCH_SECONDS, PageMissing, PageSource
from literesearcher.tools.perimeter.guard import RefusedTarget
from literesearcher.tools.port import Ask
from literesearcher.tools.sources import rules as source_rules
from literesearcher.tools.sources.rules import Reason, SourceRules


class VisitTool:
    """Carries out the pages of one call."""

    def __init__(self, source: PageSource, reading: KeptReading, *, clock: Clock) -> None:
        self._source = source
        self._reading = reading
        self._clock = clock

    async def run(self, urls: Sequence[str], goal: str, *, ask: Ask) -> tuple[str, list[ToolItem]]:
        """The text of the whole call, and its items in the order asked."""
        rules = SourceRules(ask.sources, ask.pages_read)
        # Before anything is fetched, so that the first pages of a site are the ones that are read.
        refused = [rules.of_target(url) or rules.take(url) for url in urls]
        items = await gathered(
            [self._timed(url, goal, ask, rules, reason) for url, reason in zip(urls, refused, strict=True)]
        )
        return formatting.join_pages([item.text for item in items]), items

    async def _timed(self, url: str, goal: str, ask: Ask, rules: SourceRules, reason: Reason | None) -> ToolItem:
        if reason is not None:
            return _refused(url, goal, reason)
        started = self._clock.monotonic()
        tally = Tally()
        item = await self._page(url, goal, ask, rules, started + ask.timeout_seconds, tally)
        return replace(
            item,
            elapsed_seconds=self._clock.monotonic() - started,
            cost_usd=tally.cost_usd,
            tried=tally.tries,
        )

    async def _page(self, url: str, goal: str, ask: Ask, rules: SourceRules, deadline: float, tally: Tally) -> ToolItem:
        fidelity = ask.fidelity or "improved"
        try:
            async with asyncio.timeout(min(FETCH_SECONDS, deadline - self._clock.monotonic())):
                # A policy on languages looks at the text itself, so the page is not left where it is kept.
                peek = None if ask.sources.languages else self._reading.peek(goal, ask=ask, fidelity=fidelity)
                found = await self._source.get(url, ask=ask, tally=tally, peek=peek)
        except RefusedTarget:
            return _failed(url, goal, formatting.UNREACHABLE, "refused")
        except NotKept as error:
            said = formatting.cache_only_text(url, error.code)
            note = formatting.PageNote(said, formatting.UNREACHABLE.summary)
            return _failed(url, goal, note, error.code)
        except PageMissing as error:
            missing = _failed(url, goal, formatting.UNREACHABLE, "missing")
            return replace(missing, cache=error.cache, fetched_at=error.at, recorded=error.recorded)
        except BoundaryError as error:
            return _failed(url, goal, formatting.UNREACHABLE, _status(error))
        except TimeoutError:
            return _failed(url, goal, formatting.UNREACHABLE, "timeout")
        page = found.value.page
        reason = rules.of_page(page, url)
        if reason is not None:
            return _refused(url, goal, reason)
        read = await self._reading.read(found.value, goal, ask=ask, fidelity=fidelity, deadline=deadline)
        return ToolItem(
            kind="page",
            target=url,
            ok=read.status == "found",
            provider=page.provider,
            title=page.title,
            status=read.status,
            digest=found.value.digest,
            extracted=read.extracted,
            text=formatting.page_text(url, goal, *read.note),
            cache=dearest(found.cache, read.cache),
            fetched_at=found.at,
            usage=read.usage,
            domain=source_rules.domain_of(page.url or url),
            recorded=found.recorded and read.recorded is not False,
        )


def _refused(url: str, goal: str, reason: Reason) -> ToolItem:
    note = formatting.PageNote(source_rules.said(reason), formatting.UNREACHABLE.summary)
    return replace(_failed(url, goal, note, "policy"), left_out={reason: 1})


def _failed(url: str, goal: str, note: formatting.PageNote, status: str) -> ToolItem:
    return ToolItem(kind="page", target=url, ok=False, status=status, text=formatting.page_text(url, goal, *note))


def _status(error: BoundaryError) -> str:
    return "missing" if error.code == "page_missing" else "unreachable"
