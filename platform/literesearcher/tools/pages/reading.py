"""One fetched page read for one goal: cut or in chunks, extracted, and what the model is told where that gave nothing.

Owns: what is readable, what becomes of a wall and of a failed extraction. Refuses to know: fetching, providers, joining
of pages. Above: `tools.visit`. Below: `chunks`, `merging`, `kept_extraction`.

In `published` a page is cut, whatever it is, and a failed extraction is a text that says so. In `improved` a long page
is read in chunks, a wall is called one, and what the extractor fails at is scored by words (`passage_extraction`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Usage
from literesearcher.research.tool_options import Fidelity
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock
from literesearcher.tools import formatting
from literesearcher.tools.cache.lookup import Found, How, dearest
from literesearcher.tools.pages.chunks import chunks_of
from literesearcher.tools.pages.cut import CountTokens, cut_to_tokens
from literesearcher.tools.pages.extraction import Extraction, sum_usage
from literesearcher.tools.pages.kept_extraction import KeptExtractor
from literesearcher.tools.pages.merging import merged
from literesearcher.tools.pages.passage_extraction import PassageExtractor
from literesearcher.tools.port import Ask
from literesearcher.tools.providers.port import FetchedPage

READ_AS = ("found", "paywall")
"""Statuses of a reading in which the extractor read something."""
SHORT_CHARACTERS = 500
"""A fetched page under this many characters is not read, as published."""
TEASER_CHARACTERS = 200
"""What stands before a paywall is read from this many on."""
CHUNKS_AT_ONCE = 3
_SCORING_SECONDS = 5.0
"""Of a call's time, a tenth and at most so much is left for scoring what the extractor has not read by then."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model reads of a page. `extracted` None: nothing was found in it, `note` says why."""

    status: str
    note: formatting.PageNote
    extracted: dict[str, str] | None = None
    usage: Usage | None = None
    """Of the extractions made for this call; what another call or the cache paid for is not paid again."""
    cache: How | None = None
    """The verdict on the extraction; None where none was looked up."""
    keep: bool = True
    """False for a stop-gap, such as passages after an extraction that failed: a later call tries again."""
    recorded: bool | None = None
    """Of a job that records: False where it should have been kept and is not."""


class PageReading:
    """One a process."""

    def __init__(
        self,
        extractor: KeptExtractor,
        *,
        clock: Clock,
        metrics: ToolMetrics,
        count_tokens: CountTokens | None = None,
    ) -> None:
        self._extractor = extractor
        self._clock = clock
        self._metrics = metrics
        self._count_tokens = count_tokens
        self._passages = PassageExtractor()

    async def read(self, page: FetchedPage, goal: str, *, ask: Ask, fidelity: Fidelity, deadline: float) -> Reading:
        """The page read for the goal by `deadline` (on the clock's monotonic time). Raises nothing but cancellation."""
        if fidelity == "published":
            return await self._published(page, goal, ask, deadline)
        if page.kind != "page" and not (page.kind == "paywall" and len(page.text.strip()) >= TEASER_CHARACTERS):
            return Reading(page.kind, formatting.WALLS[page.kind], keep=False)
        if page.kind == "page" and _too_short(page, page.text):
            return Reading("too_short", formatting.TOO_SHORT)
        return await self._in_chunks(page, goal, ask, deadline)

    async def _published(self, page: FetchedPage, goal: str, ask: Ask, deadline: float) -> Reading:
        limit = self._extractor.extractor.page_tokens(ask.profile)
        text = await cut_to_tokens(page.text, limit, self._count_tokens)
        if _too_short(page, text):
            return Reading("too_short", formatting.TOO_SHORT)
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()):
                found = await self._extractor.extract(text, goal, ask=ask)
        except (TimeoutError, BoundaryError):
            self._metrics.extractions.labels("failed").inc()
            return Reading("extraction_failed", formatting.NOT_EXTRACTED)
        fields = found.value.fields
        self._metrics.extractions.labels("failed" if fields is None else "read").inc()
        if fields is None:
            return Reading("extraction_failed", formatting.NOT_EXTRACTED, usage=_paid(found), cache=found.cache)
        note = formatting.PageNote(fields["evidence"], fields["summary"])
        return Reading("found", note, fields, _paid(found), found.cache)

    async def _in_chunks(self, page: FetchedPage, goal: str, ask: Ask, deadline: float) -> Reading:
        limit = self._extractor.extractor.page_tokens(ask.profile)
        chunks = await chunks_of(page.text, limit, self._count_tokens)
        if len(chunks.parts) > 1:
            self._metrics.chunks.inc(len(chunks.parts))
        seconds = deadline - self._clock.monotonic()
        found = await self._extracted(chunks.parts, goal, ask, seconds - min(_SCORING_SECONDS, seconds / 10))
        fields: list[dict[str, str]] = []
        for part, one in zip(chunks.parts, found, strict=True):
            read = one.value.fields if one is not None else None
            self._metrics.extractions.labels("scored" if read is None else "read").inc()
            fields.append(read if read is not None else await self._scored(part, goal, ask))
        whole = merged(fields)
        usage = [paid for one in found if one is not None and (paid := _paid(one)) is not None]
        left = chunks.left + page.cut_characters
        evidence = formatting.evidence_of_part(
            whole["evidence"],
            left_percent=100 * left / (len(page.text) + page.cut_characters) if left else None,
            before_paywall=page.kind == "paywall",
        )
        return Reading(
            "paywall" if page.kind == "paywall" else "found",
            formatting.PageNote(evidence, whole["summary"]),
            whole,
            sum_usage(usage),
            dearest(*(one.cache for one in found if one is not None)),
            keep=all(one is not None and one.value.fields is not None for one in found),
        )

    async def _extracted(
        self, parts: Sequence[str], goal: str, ask: Ask, seconds: float
    ) -> list[Found[Extraction] | None]:
        """In order; None for what failed or was not there in time."""
        turns = asyncio.Semaphore(CHUNKS_AT_ONCE)

        async def one(part: str) -> Found[Extraction] | None:
            async with turns:
                try:
                    return await self._extractor.extract(part, goal, ask=ask)
                except BoundaryError:
                    return None

        tasks = [asyncio.create_task(one(part)) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, timeout=max(0.0, seconds))
            return [task.result() if task in done else None for task in tasks]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _scored(self, part: str, goal: str, ask: Ask) -> dict[str, str]:
        made = await self._passages.extract(part, goal, profile=ask.profile, timeout_seconds=_SCORING_SECONDS)
        return made.fields or {"rational": "", "evidence": "", "summary": ""}


def _too_short(page: FetchedPage, text: str) -> bool:
    return not (text.strip() if page.whole else len(text) >= SHORT_CHARACTERS)


def _paid(found: Found[Extraction]) -> Usage | None:
    return found.value.usage if found.cache in (None, "miss") else None
