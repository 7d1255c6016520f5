"""Extractions, made or kept: one text and one goal are read once.

Owns: the lookup of an extraction. Refuses to know: pages, chunks, texts for the model. Above: `page_reading`.
"""

from __future__ import annotations

import hashlib

from literesearcher.tools.cache import Found, Produced, Reuse, key_of
from literesearcher.tools.extraction import Extraction, Extractor
from literesearcher.tools.port import Ask

LIFETIME_SECONDS = 86_400.0
EXTRACTION_SECONDS = 900.0
"""A lookup's own time limit, not its caller's: others may be waiting on the same reading for longer."""


class KeptExtractor:
    """An extractor behind the cache."""

    def __init__(self, extractor: Extractor, *, reuse: Reuse) -> None:
        self.extractor = extractor
        self._reuse = reuse

    async def extract(self, text: str, goal: str, *, ask: Ask) -> Found[Extraction]:
        """What the goal asks for in the text. A failed extraction is not kept."""

        async def produce() -> Produced[Extraction]:
            extraction = await self.extractor.extract(
                text, goal, profile=ask.profile, timeout_seconds=EXTRACTION_SECONDS
            )
            size = 500 + 2 * sum(len(value) for value in (extraction.fields or {}).values())
            return Produced(extraction, size, keep=extraction.fields is not None)

        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        key = key_of("extraction", self.extractor.cache_key, ask.profile, digest, goal)
        return await self._reuse.get(key, lifetime_seconds=LIFETIME_SECONDS, produce=produce)
