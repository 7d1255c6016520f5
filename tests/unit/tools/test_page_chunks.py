"""Long pages in chunks: nothing lost, nothing too large, and what several chunks gave as one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from literesearcher.tools.pages.chunks import MAX_CHUNKS, MAX_READ_TOKENS, chunks_of
from literesearcher.tools.pages.cut import estimate_tokens
from literesearcher.tools.pages.merging import EVIDENCE_TOKENS, SUMMARY_TOKENS, merged


def words(text: str) -> int:
    return len(text.split())


async def test_a_short_page_is_one_chunk_and_is_not_counted():
    def never(text: str) -> int:
        raise AssertionError(text)

    assert (await chunks_of("a page", 6, never)).parts == ["a page"]


async def test_a_page_that_fits_is_one_chunk_as_it_is():
    text = "word  with   blanks \n\n" * 100
    assert (await chunks_of(text, 400, words)).parts == [text]


async def test_chunks_fit_and_are_the_whole_text_cut_between_paragraphs():
    paragraphs = [f"Paragraph {number}. " + "Words of it stand here. " * 6 for number in range(400)]
    text = "\n\n".join(paragraphs)
    chunks = await chunks_of(text, 2_000, words)
    assert "".join(chunks.parts) == text
    assert chunks.left == 0
    assert 5 < len(chunks.parts) <= MAX_CHUNKS
    assert all(words(part) <= 2_000 for part in chunks.parts)
    assert all(part.startswith("Paragraph ") for part in chunks.parts)
    assert min(words(part) for part in chunks.parts[:-1]) > 1_500, "no chunk is much smaller than it may be"


async def test_a_heading_is_a_better_border_than_a_paragraph():
    text = "\n\n".join(
        ("## Part\n\n" if number % 10 == 0 else "") + "words and more words " * 10 for number in range(200)
    )
    chunks = await chunks_of(text, 1_000, words)
    assert all(part.lstrip().startswith("## Part") for part in chunks.parts)
    assert len(chunks.parts) > 3


async def test_a_page_beyond_the_bound_says_how_much_is_left():
    text = "word " * 30_000
    chunks = await chunks_of(text, 1_000, words)
    assert len(chunks.parts) == MAX_CHUNKS
    assert len("".join(chunks.parts)) + chunks.left == len(text)
    assert chunks.left > 80_000
    large = await chunks_of("x" * 4_000_000, 95_000, None)
    assert sum(map(estimate_tokens, large.parts)) <= MAX_READ_TOKENS
    assert large.left + sum(map(len, large.parts)) == 4_000_000


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ["x" * 300_000, "\n" * 300_000, "中" * 100_000, " " * 300_000, "é\u0301" * 100_000])
async def test_texts_without_borders_are_cut_all_the_same(text):
    chunks = await chunks_of(text, 5_000, None)
    assert "".join(chunks.parts) + text[len(text) - chunks.left :] == text or not text.strip()
    assert all(estimate_tokens(part) <= 5_000 for part in chunks.parts)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab \n#.中", max_size=600), st.integers(min_value=3, max_value=60))
async def test_nothing_is_lost_or_told_twice(text, limit):
    chunks = await chunks_of(text, limit, words)
    read = "".join(chunks.parts)
    assert "".join(read.split()) == "".join(text[: len(text) - chunks.left].split())


def fields(evidence: str, summary: str, rational: str = "r") -> dict[str, str]:
    return {"rational": rational, "evidence": evidence, "summary": summary}


def test_one_extraction_is_taken_to_the_byte():
    one = fields(" e\n", "s ")
    assert merged([one]) is one


def test_evidence_stands_in_page_order_and_empty_parts_are_left_out():
    assert merged([fields("first", "one."), fields(" \n", ""), fields("third\n", "three.", "")]) == {
        "rational": "r\nr",
        "evidence": "first\n\nthird",
        "summary": "one.\nthree.",
    }
    assert merged([fields("", "", ""), fields("", "", "")]) == fields("", "", "")


def test_long_parts_give_way_to_short_ones():
    found = merged([fields("a" * 200_000, "s" * 50_000), fields("short", "brief"), fields("中" * 60_000, "s" * 50_000)])
    assert estimate_tokens(found["evidence"]) < EVIDENCE_TOKENS + 100
    assert estimate_tokens(found["summary"]) < SUMMARY_TOKENS + 100
    assert "\n\nshort\n\n" in found["evidence"]
    assert "\nbrief\n" in found["summary"]
    assert found["evidence"].count("[…]") == 2
    assert found["evidence"].count("a") > 15_000
