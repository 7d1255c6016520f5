"""What was read of a page for a goal, made or kept: by the digest of the page's text, so that the text need not move.

Owns: the lookup of a whole reading. Refuses to know: how a page is read, where its text is. Above: `visit`. Below:
`reading`, the cache. Only what the extractor read is kept.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from literesearcher.research.tool_options import Fidelity
from literesearcher.tools import formatting
from literesearcher.tools.cache.entry import Entry
from literesearcher.tools.cache.keys import key_of
from literesearcher.tools.cache.lookup import Lookup, Produced
from literesearcher.tools.cache.results import ResultCache
from literesearcher.tools.governor import Tally
from literesearcher.tools.pages.extraction import Extractor
from literesearcher.tools.pages.kept_extraction import kept_usage, text_fields
from literesearcher.tools.pages.reading import READ_AS, PageReading, Reading
from literesearcher.tools.pages.source import Peek, SourcedPage
from literesearcher.tools.port import Ask


class KeptReading:
    """One a process."""

    def __init__(self, reading: PageReading, *, extractor: Extractor, cache: ResultCache) -> None:
        self._reading = reading
        self._extractor = extractor
        self._cache = cache

    def peek(self, goal: str, *, ask: Ask, fidelity: Fidelity) -> Peek:
        """For `PageSource.get`: what is kept of a page for this goal."""

        async def peek(sourced: SourcedPage) -> Reading | None:
            found = await self._cache.peek(self._lookup(sourced, goal, ask, fidelity), ask=ask, tally=Tally())
            if found is None:
                return None
            # What another tenant paid for reads as made, its tokens included.
            usage = found.value.usage if found.cache == "miss" else None
            return replace(found.value, usage=usage, cache=found.cache)

        return peek

    async def read(self, sourced: SourcedPage, goal: str, *, ask: Ask, fidelity: Fidelity, deadline: float) -> Reading:
        """As `PageReading.read`, or what is kept."""
        known = sourced.reading or await self.peek(goal, ask=ask, fidelity=fidelity)(sourced)
        if known is not None:
            return known
        read = await self._reading.read(sourced.page, goal, ask=ask, fidelity=fidelity, deadline=deadline)
        if read.keep and read.extracted is not None and read.cache != "coalesced":
            recorded = await self._cache.keep(self._lookup(sourced, goal, ask, fidelity), Produced(read), ask=ask)
            return replace(read, recorded=recorded)
        return read

    def _lookup(self, sourced: SourcedPage, goal: str, ask: Ask, fidelity: Fidelity) -> Lookup[Reading]:
        page = sourced.page
        extractor = self._extractor
        return Lookup(
            kind="extraction",
            key=key_of(
                "reading",
                extractor.cache_key,
                str(extractor.page_tokens(ask.profile)),
                ask.profile,
                fidelity,
                page.kind,
                str(page.whole),
                sourced.digest,
                goal,
            ),
            lifetime=self._cache.lifetimes.reading,
            encode=_encoded,
            decode=_decoded,
            of_tenant=page.private or page.whole,
        )


def _encoded(reading: Reading) -> dict[str, object]:
    return {
        "status": reading.status,
        "note": list(reading.note),
        "extracted": reading.extracted,
        "usage": None if reading.usage is None else asdict(reading.usage),
    }


def _decoded(entry: Entry) -> Reading:
    value = entry.value
    status, note = value["status"], value["note"]
    if status not in READ_AS or not isinstance(note, list) or not all(isinstance(text, str) for text in note):
        raise ValueError("not the note of a reading")
    evidence, summary = note
    return Reading(
        status,
        formatting.PageNote(evidence, summary),
        text_fields(value["extracted"]),
        kept_usage(value["usage"]),
    )
