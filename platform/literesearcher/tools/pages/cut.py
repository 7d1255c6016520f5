"""A page cut to what an extractor may read, in tokens.

Owns: how to cut by a function that only counts. Refuses to know: tokenizers (the wiring hands the count in).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

CountTokens = Callable[[str], int | None]
"""Tokens of a text by the model's tokenizer, None where there is none."""

_CLOSE = 0.98
"""A cut that uses so much of the limit is close enough; counting again costs more than it gains."""


async def cut_to_tokens(text: str, limit: int, count: CountTokens | None) -> str:
    """The beginning of `text` that holds at most `limit` tokens.

    A text of at most `limit` characters fits as it is and is not tokenised; longer ones are counted in a thread.
    """
    if len(text) <= limit:
        return text
    return await asyncio.to_thread(_cut, text, limit, count or (lambda _: None))


def _cut(text: str, limit: int, count: CountTokens) -> str:
    text = text[: limit * 12]  # no text holds so many characters a token; a hostile page is not counted whole
    return text[: beginning(text, limit, count)]


def beginning(text: str, limit: int, count: CountTokens, *, guess: int | None = None) -> int:
    """Characters from the start that hold at most `limit` tokens, nearly the most. `guess`: what a like text took."""
    low, high = 0, len(text)  # text[:low] is known to fit, text[:high + 1] is the most to try
    at = high if guess is None else min(high, guess)
    for _ in range(8):
        tokens = count(text[:at])
        if tokens is None:
            tokens = estimate_tokens(text[:at])
        if tokens <= limit:
            low = at
            if at == high or tokens >= limit * _CLOSE:
                break
        else:
            high = at - 1
        nearer = int(at * limit * 0.99 / max(tokens, 1))
        at = nearer if low < nearer <= high else (low + high) // 2
        if at <= low:
            break
    return low


def estimate_tokens(text: str) -> int:
    """Tokens without a tokenizer, on the safe side: 3.2 bytes of UTF-8 each."""
    return int(len(text.encode("utf-8", "replace")) / 3.2)
