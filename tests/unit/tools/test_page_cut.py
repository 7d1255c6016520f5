"""Cutting a page to a number of tokens by a function that only counts."""

from __future__ import annotations

import pytest

from literesearcher.tools.pages.cut import cut_to_tokens, estimate_tokens


class Words:
    """A tokenizer of words that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, text: str) -> int:
        self.calls += 1
        return len(text.split())


async def test_a_page_of_few_characters_is_not_tokenised():
    count = Words()
    text = "a b " * 10
    assert await cut_to_tokens(text, 40, count) is text
    assert count.calls == 0


async def test_a_page_that_fits_stays_whole():
    text = "word " * 900
    assert await cut_to_tokens(text, 1_000, Words()) == text


@pytest.mark.parametrize("text", ["word " * 50_000, "a b c d e " * 20_000 + "long" * 100_000, "x" * 300_000 + " y" * 9])
async def test_a_long_page_is_cut_close_below_the_limit_with_few_counts(text):
    count = Words()
    cut = await cut_to_tokens(text, 5_000, count)
    assert text.startswith(cut)
    assert len(cut.split()) <= 5_000
    assert len(cut.split()) >= 4_500 or len(cut) >= 50_000
    assert count.calls <= 8


@pytest.mark.parametrize("count", [None, lambda text: None])
async def test_without_a_tokenizer_bytes_decide(count):
    for text in ("word " * 50_000, "汉字" * 50_000):
        cut = await cut_to_tokens(text, 10_000, count)
        assert 9_000 < estimate_tokens(cut) <= 10_000
