"""Words: one reading of text for passages, index names and the extractive engine."""

from __future__ import annotations

import pytest

from literesearcher.research.words import compounds, content_terms, identifier_parts, stem, terms


@pytest.mark.parametrize(
    ("one", "other"),
    [("merges", "merging"), ("sorted", "sort"), ("queues", "queue"), ("deletion", "delete"), ("counts", "counter"),
     ("dictionaries", "dictionary"), ("running", "run"), ("compression", "compress"), ("calculates", "calculation")],
)  # fmt: skip
def test_forms_of_a_word_share_a_stem(one, other):
    assert stem(one) == stem(other)


def test_different_words_do_not():
    assert len({stem(word) for word in ("capital", "capitalize", "sort", "start", "state", "string", "str")}) == 7


def test_identifiers_are_read_whole_and_in_parts():
    assert {"read_csv", "read", "csv"} <= set(terms("call read_csv now"))
    assert {"jsondecodeerror", "json", "decod"} <= set(terms("JSONDecodeError"))
    assert compounds("use heapq.merge, read_csv, parseArgs or HTMLParser, not plain words") == [
        "heapq.merge", "read_csv", "parseArgs", "HTMLParser",
    ]  # fmt: skip
    assert identifier_parts("json.JSONDecodeError") == [
        "json.jsondecodeerror", "json", "jsondecodeerror", "decode", "error",
    ]  # fmt: skip


def test_cjk_is_pairs_and_touching_latin_is_its_own_word():
    assert terms("Python函数 库") == ["python", "函数", "库"]
    assert terms("北京市") == ["北京", "京市"]


def test_stop_words_stay_where_nothing_else_is_left():
    assert content_terms("What is the capital of it?") == ["capital"]
    assert content_terms("to be or not to be") != []


def test_what_is_no_word_is_left_out():
    assert terms("a" * 1000 + " b") == ["b"]
