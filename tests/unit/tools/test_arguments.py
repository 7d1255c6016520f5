"""Arguments as a 4B model writes them."""

from __future__ import annotations

import pytest

from literesearcher.tools.arguments import MAX_ITEMS, UnusableArguments, search_queries, visit_pages


def test_queries_stay_as_written_and_in_order():
    assert search_queries({"query": [" a ", "b'c", "", "  "]}) == [" a ", "b'c"]
    assert search_queries({"query": "bare"}) == ["bare"]


def test_urls_may_be_bare():
    assert visit_pages({"url": "https://a.example", "goal": ""}) == (["https://a.example"], "")
    assert visit_pages({"url": ["x", "y"], "goal": "g", "more": 1}) == (["x", "y"], "g")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"query": []},
        {"query": ""},
        {"query": ["", " "]},
        {"query": None},
        {"query": 7},
        {"query": {"q": "x"}},
        {"query": [["a"]]},
        {"query": ["a", 1]},
        {"query": ["x"] * (MAX_ITEMS + 1)},
        {"query": ["x" * 5000]},
        {"queries": ["a"]},
    ],
)
def test_a_wrong_query_gets_a_text_that_names_it(arguments):
    with pytest.raises(UnusableArguments) as caught:
        search_queries(arguments)
    assert caught.value.message.startswith("Error: ")
    assert "'query'" in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"url": ["x"]}, "goal"),
        ({"url": ["x"], "goal": None}, "goal"),
        ({"url": ["x"], "goal": ["g"]}, "goal"),
        ({"url": ["x"], "goal": "g" * 30_000}, "goal"),
        ({"goal": "g"}, "url"),
        ({"url": {"a": 1}, "goal": "g"}, "url"),
    ],
)
def test_a_wrong_visit_gets_a_text_that_names_it(arguments, field):
    with pytest.raises(UnusableArguments) as caught:
        visit_pages(arguments)
    assert caught.value.field == field
    assert f"'{field}'" in caught.value.message


def test_lone_surrogates_are_replaced():
    queries = search_queries({"query": ["a\ud800b", "😀"]})
    assert queries == ["a\ufffdb", "😀"]
    assert visit_pages({"url": "u", "goal": "\udfff"})[1] == "\ufffd"
