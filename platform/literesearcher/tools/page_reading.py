"""One fetched page read for one goal: cut, extracted, and what the model is told where that gave nothing.

Owns: what is readable, the cut, what becomes of a failed extraction. Refuses to know: fetching, providers, joining.
Above: `tools.visit`. Below: `kept_extraction`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Usage
from literesearcher.research.tool_options import Fidelity
from literesearcher.timing.clock import Clock
from literesearcher.tools import formatting
from literesearcher.tools.cache.lookup import How
from literesearcher.tools.kept_extraction import KeptExtractor
from literesearcher.tools.page_cut import CountTokens, cut_to_tokens
from literesearcher.tools.port import Ask
from literesearcher.tools.providers.port import FetchedPage

SHORT_CHARACTERS = 500
"""A fetched page under this many characters is not read, as published."""


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


class PageReading:
    """One a process."""

    def __init__(self, extractor: KeptExtractor, *, clock: Clock, count_tokens: CountTokens | None = None) -> None:
        self._extractor = extractor
        self._clock = clock
        self._count_tokens = count_tokens

    async def read(self, page: FetchedPage, goal: str, *, ask: Ask, fidelity: Fidelity, deadline: float) -> Reading:
        """The page read for the goal by `deadline` (on the clock's monotonic time). Raises nothing but cancellation."""
        limit = self._extractor.extractor.page_tokens(ask.profile)
        text = await cut_to_tokens(page.text, limit, self._count_tokens)
        if not (text.strip() if page.whole else len(text) >= SHORT_CHARACTERS):
            return Reading("too_short", formatting.TOO_SHORT)
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()):
                found = await self._extractor.extract(text, goal, ask=ask)
        except (TimeoutError, BoundaryError):
            return Reading("extraction_failed", formatting.NOT_EXTRACTED)
        usage = found.value.usage if found.cache in (None, "miss") else None
        fields = found.value.fields
        if fields is None:
            return Reading("extraction_failed", formatting.NOT_EXTRACTED, usage=usage, cache=found.cache)
        note = formatting.PageNote(fields["evidence"], fields["summary"])
        return Reading("found", note, fields, usage, found.cache)
