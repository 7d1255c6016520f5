"""Passages: cut where a reader would, ranked by the question, linear on hostile text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from literesearcher.research.passages import PASSAGE_CHARS, best_sentences, extract, rank, shorten, split

PAGE = """# Rivers

An opening about nothing in particular.

## The Rhine

The Rhine rises in Switzerland. It is 1,230 kilometres long.

## The Danube

The Danube rises in Germany and ends in the Black Sea.

```python
# not a heading
x = read_csv("danube.csv")
```
"""


def test_a_heading_stays_with_what_it_heads_and_code_is_one_piece():
    passages = split(PAGE)
    rhine = next(passage for passage in passages if "1,230" in passage)
    assert rhine.startswith("## The Rhine")
    assert "Danube" not in rhine
    code = next(passage for passage in passages if "read_csv" in passage)
    assert "# not a heading\nx = " in code
    assert code.startswith("## The Danube")


def test_a_long_section_repeats_its_heading_and_loses_nothing():
    sentence = "Word{} of a long paragraph that goes on and on without any end in sight. "
    passages = split("## Long\n\n" + "".join(sentence.format(i) for i in range(200)))
    assert len(passages) > 5
    assert all(passage.startswith("## Long\n\n") for passage in passages)
    joined = " ".join(passages)
    assert all(f"Word{i} " in joined for i in range(200))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("How long is the Rhine?", "1,230"),
        ("Where does the Danube end?", "Black Sea"),
        ("read_csv", "danube.csv"),
    ],
)
def test_the_passage_that_answers_comes_first(query, expected):
    score, index, passage = rank(split(PAGE), query, 1)[0]
    assert expected in passage
    assert score > 0
    assert split(PAGE)[index] == passage


def test_chinese_is_read_by_pairs_of_characters():
    passages = split(
        "# 首都\n\n堪培拉是澳大利亚的首都。\n\n# 河流\n\n墨累河是澳大利亚最长的河流。\n\n# 无关\n\n今天天气很好。"
    )
    ranked = rank(passages, "澳大利亚的首都是哪里", 3)
    assert "堪培拉" in ranked[0][2]
    assert all("天气" not in passage for _, _, passage in ranked[:1])


def test_a_question_that_shares_nothing_ranks_nothing():
    assert rank(split(PAGE), "quantum chromodynamics", 5) == []
    assert rank([], "Rhine", 5) == []
    assert rank(split(PAGE), "", 5) == []


def test_extraction_holds_the_opening_and_the_best_in_page_order():
    found = extract(PAGE, "Where does the Danube rise?")
    assert found.evidence.index("An opening") < found.evidence.index("Black Sea")
    assert "Germany" in found.summary
    assert extract("", "anything").evidence == ""


def test_a_sentence_is_shortened_at_a_word():
    assert best_sentences("One two. The Rhine is long.", "Rhine", max_chars=300) == "The Rhine is long."
    short = shorten("alpha beta gamma delta", 12)
    assert short == "alpha beta…"
    assert len(shorten("x" * 1000, 300)) == 300


@pytest.mark.parametrize(
    "unit",
    ["a", "a b ", "# x\n", "```\n", "a. ", "\n", "- item\n", "中", "。", "> ", "_a", "aA", "](", "\u0301e", "\0"],
)
def test_hostile_text_takes_linear_time(unit):
    text = unit * (400_000 // len(unit))
    started = time.process_time()
    passages = split(text)
    rank(passages, "item b 中国 readCsv", 5)
    extract(text, "item b")
    # Quadratic behaviour would take minutes; this takes a second or two on a slow machine.
    assert time.process_time() - started < 20
    assert all(len(passage) <= 2 * PASSAGE_CHARS + 200 for passage in passages if "```" not in passage)


@given(st.text(max_size=2000), st.text(max_size=100))
@settings(max_examples=150, deadline=None)
def test_any_text_gives_passages_that_are_in_it(text, query):
    passages = split(text)
    assert bool(passages) == bool("".join(text.split()))
    for _, index, passage in rank(passages, query, 3):
        assert passages[index] == passage
    extract(text, query)
