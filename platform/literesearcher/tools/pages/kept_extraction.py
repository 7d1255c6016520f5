"""Extractions that several calls wait for are made once: one text and one goal.

Owns: the lookup of an extraction while it is made and shortly after. Refuses to know: pages, chunks, texts for the
model; whole readings are kept for long by `kept_reading`. Above: `reading`. Below: the cache, the extractor.
"""

from __future__ import annotations

from dataclasses import asdict

from literesearcher.research.messages import Usage
from literesearcher.tools.cache.entry import Entry, digest_of, number
from literesearcher.tools.cache.keys import key_of
from literesearcher.tools.cache.lifetimes import Lifetime
from literesearcher.tools.cache.lookup import Found, Lookup, Produced
from literesearcher.tools.cache.results import ResultCache
from literesearcher.tools.governor import Tally
from literesearcher.tools.pages.extraction import Extraction, Extractor
from literesearcher.tools.port import Ask

EXTRACTION_SECONDS = 900.0
"""A lookup's own time limit, not its caller's: others may be waiting on the same reading for longer."""
_KEPT_SECONDS = 900.0
"""For a call that was cut off between two chunks, and for processes that wait on each other."""
_FIELDS = {"rational", "evidence", "summary"}
_MAX_TOKENS = 1_000_000_000


class KeptExtractor:
    """An extractor behind the cache."""

    def __init__(self, extractor: Extractor, *, cache: ResultCache) -> None:
        self.extractor = extractor
        self._cache = cache

    async def extract(self, text: str, goal: str, *, ask: Ask) -> Found[Extraction]:
        """What the goal asks for in the text. A failed extraction is not kept.

        A job that records, or reads from the cache only, has each made anew: what it keeps or finds is whole readings.
        """

        async def produce(tally: Tally) -> Produced[Extraction]:
            extraction = await self.extractor.extract(
                text, goal, profile=ask.profile, timeout_seconds=EXTRACTION_SECONDS
            )
            return Produced(extraction, keep="never" if extraction.fields is None else "shared")

        if ask.cache in ("only", "record"):
            return Found((await produce(Tally())).value, None, 0.0)
        lookup = Lookup(
            kind="extraction",
            key=key_of("extraction", self.extractor.cache_key, ask.profile, await digest_of(text), goal),
            lifetime=Lifetime(min(_KEPT_SECONDS, self._cache.lifetimes.reading.fresh)),
            encode=_encoded,
            decode=_decoded,
            of_tenant=True,
        )
        return await self._cache.get(lookup, ask=ask, tally=Tally(), produce=produce)


def _encoded(extraction: Extraction) -> dict[str, object]:
    usage = extraction.usage
    return {"fields": extraction.fields, "usage": None if usage is None else asdict(usage)}


def _decoded(entry: Entry) -> Extraction:
    return Extraction(text_fields(entry.value["fields"]), kept_usage(entry.value["usage"]))


def text_fields(fields: dict[str, object]) -> dict[str, str]:
    """What an extractor may have returned; `ValueError` where it cannot have."""
    checked = {name: value for name, value in fields.items() if isinstance(value, str)}
    if len(checked) != len(fields) or not {"evidence", "summary"} <= checked.keys() <= _FIELDS:
        raise ValueError("not the fields of an extraction")
    return checked


def kept_usage(value: dict[str, object] | None) -> Usage | None:
    """The usage of an extraction as `asdict` wrote it; `ValueError` or `TypeError` for anything else."""
    if value is None:
        return None
    usage = Usage(**value)  # type: ignore[arg-type]
    counts = [usage.prompt_tokens, usage.completion_tokens]
    for count in counts if usage.cached_tokens is None else (*counts, usage.cached_tokens):
        if type(count) is not int:
            raise ValueError("not a count of tokens")
        number(count, 0, _MAX_TOKENS)
    return usage
