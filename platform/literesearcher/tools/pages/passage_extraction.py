"""Page extraction without a language model: the passages that score best for the goal.

Refuses to know: how passages are split and scored (`research.passages`), fetching, texts. Above: the wiring, where the
engine is the extractive one.
"""

from __future__ import annotations

import asyncio

from literesearcher.research import passages
from literesearcher.research.messages import Profile
from literesearcher.tools.pages.extraction import PAGE_TOKENS, Extraction

_INLINE_CHARACTERS = 50_000
"""Longer pages are scored in a thread, so that no other job waits on one."""


class PassageExtractor:
    """Implements `extraction.Extractor`; costs no tokens."""

    cache_key = "passages 1"

    def page_tokens(self, profile: Profile) -> int:
        """As for a model: the same cut gives the same digest."""
        return PAGE_TOKENS[profile]

    async def extract(self, page: str, goal: str, *, profile: Profile, timeout_seconds: float) -> Extraction:
        """Evidence: the best passages in page order; summary: the best sentence."""
        if len(page) > _INLINE_CHARACTERS:
            found = await asyncio.to_thread(passages.extract, page, goal)
        else:
            found = passages.extract(page, goal)
        return Extraction({"rational": found.rational, "evidence": found.evidence, "summary": found.summary})
