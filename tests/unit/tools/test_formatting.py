"""The wordings to the byte, where the recordings do not show them."""

from __future__ import annotations

import pytest

from literesearcher.tools import formatting
from literesearcher.tools.providers.port import SearchResult

FULL = SearchResult("A title", "https://a.example/x", "A snippet.", "Mar 2, 2026", "A source")
BARE = SearchResult("B", "https://b.example/")


def test_inference_entries_name_date_and_source_only_where_given():
    assert formatting.search_text("q", [FULL, BARE, FULL]) == (
        "A Google search for 'q' found 3 results:\n\n## Web Results\n"
        "1. [A title](https://a.example/x)\nDate published: Mar 2, 2026\nSource: A source\n\nA snippet.\n\n"
        "2. [B](https://b.example/)\n\n\n"
        "3. [A title](https://a.example/x)\nDate published: Mar 2, 2026\nSource: A source\n\nA snippet."
    )


def test_an_entry_without_a_snippet_ends_in_a_newline():
    assert formatting.search_text("q", [BARE]).endswith("1. [B](https://b.example/)\n")


def test_an_empty_list_keeps_its_heading():
    assert formatting.search_text("q", []) == "A Google search for 'q' found 0 results:\n\n## Web Results\n"


def test_training_entries_have_one_newline_and_no_date_or_source():
    assert formatting.search_text("q", [FULL, BARE], "training") == (
        "A Google search for 'q' found 2 results:\n\n## Web Results\n"
        "1. [A title](https://a.example/x)\nA snippet.\n\n2. [B](https://b.example/)\n"
    )


@pytest.mark.parametrize(("profile", "join"), [("inference", "\n=======\n"), ("training", "\n\n=======\n\n")])
def test_queries_are_joined_and_nothing_is_stripped(profile, join):
    assert formatting.join_searches(["a\n", "\nb\n"], profile) == f"a\n{join}\nb\n"


def test_failures_read_as_published():
    assert formatting.no_results_text("it's") == "No results found for 'it's'."
    assert formatting.search_failed_text("q") == "Google search timeout for query: 'q'"


def test_a_page_and_the_strip_of_the_whole_only():
    one = formatting.page_text("u", "g", "e", "s")
    assert one == (
        "The useful information in u for user goal g as follows: \n\nEvidence in page: \ne\n\nSummary: \ns\n\n"
    )
    assert formatting.join_pages([one, one]) == one + "\n=======\n" + one.rstrip()
    assert formatting.join_pages([formatting.page_text("u", "g", " e ", "s \n\t")]).endswith("\n e \n\nSummary: \ns")


def test_notes_for_pages_that_gave_nothing():
    assert formatting.UNREACHABLE == (
        "The provided webpage content could not be accessed.",
        "The webpage content could not be processed.",
    )
    assert formatting.TOO_SHORT == (
        "The webpage content is too short or could not be fully loaded.",
        "The webpage content could not be processed.",
    )
    assert formatting.NOT_EXTRACTED == ("Failed to extract", "Content could not be processed")


def test_braces_and_percent_signs_of_a_page_are_text():
    assert "{goal} %s {0}" in formatting.page_text("u", "{evidence}", "{goal} %s {0}", "{}")
