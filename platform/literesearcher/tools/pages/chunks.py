"""A page beyond what an extractor reads at once, in chunks that it can: cut between paragraphs, in order, so many.

Owns: where to cut, how many chunks are read at most. Refuses to know: extraction, tokenizers. Above: `reading`.
Below: `cut`.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from literesearcher.tools.pages.cut import CountTokens, beginning

MAX_READ_TOKENS = 570_000
"""Of one page: six times what the published tools read."""
MAX_CHUNKS = 12
"""Where an extractor's context is small, this many chunks end it first."""
_BORDERS = (
    re.compile(r"\n(?=#{1,6} )"),
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?])\s+|(?<=[。！？])"),
    re.compile(r"\s+"),
)
"""Where a text may be cut, best first: before a heading, between paragraphs, lines, sentences, words."""
_SLACK = 5
"""A border is looked for in the last fifth of a chunk; behind it, a worse border is better than a short chunk."""


@dataclass(frozen=True, slots=True)
class Chunks:
    """Parts of a text in order, and how many characters behind the last are not in any."""

    parts: list[str]
    left: int = 0


async def chunks_of(text: str, limit: int, count: CountTokens | None) -> Chunks:
    """Chunks of at most `limit` tokens. A text that surely fits is one chunk and is not tokenised; others are cut in a
    thread."""
    if len(text) <= limit:
        return Chunks([text])
    return await asyncio.to_thread(_chunks, text, limit, count or (lambda _: None))


def _chunks(text: str, limit: int, count: CountTokens) -> Chunks:
    parts: list[str] = []
    at = 0
    guess: int | None = None
    most = max(1, min(MAX_CHUNKS, MAX_READ_TOKENS // limit))
    while at < len(text) and len(parts) < most:
        size = beginning(text[at : at + 12 * limit], limit, count, guess=guess)
        if at + size < len(text):
            guess = size
            size = _border(text, at, size)
        size = max(size, 1)
        if text[at : at + size].strip() or not parts:
            parts.append(text[at : at + size])
        at += size
    return Chunks(parts, len(text) - at)


def _border(text: str, at: int, size: int) -> int:
    start = at + size - size // _SLACK
    tail = text[start : at + size]
    for border in _BORDERS:
        last = None
        for last in border.finditer(tail):  # noqa: B007
            pass
        if last is not None and start + last.end() > at:
            return start + last.end() - at
    return size
