"""Citations: the pages whose words support the answer come first, with the words that do."""

from __future__ import annotations

from literesearcher.research.citations import MOST, QUOTE_CHARACTERS, cite
from literesearcher.research.state import Source


def page(number: int, evidence: str, url: str = "") -> Source:
    return Source(url or f"https://{number}.example", f"Page {number}", evidence, number)


def test_pages_that_support_the_answer_come_first_and_the_others_not_at_all():
    cited = cite(
        [
            page(1, "Nothing about it."),
            page(2, "The prize went to Ada Lovelace in 1843. It rained."),
            page(3, "Ada was there."),
        ],
        "Ada Lovelace",
        "Who won the prize?",
    )
    assert [(c.seq, c.quote) for c in cited] == [
        (2, "The prize went to Ada Lovelace in 1843."),
        (3, "Ada was there."),
    ]


def test_where_no_page_shares_a_word_with_the_answer_all_that_was_read_is_cited():
    cited = cite([page(1, "The prize was shared."), page(2, "It rained.")], "yes", "Was the prize shared?")
    assert [c.seq for c in cited] == [1, 2]
    assert cited[0].quote == "The prize was shared."


def test_a_page_read_twice_is_cited_once_for_the_better_reading():
    url = "https://a.example"
    [cited] = cite([page(3, "It was Ada.", url), page(7, "Nothing here.", url)], "Ada", "Who?")
    assert (cited.seq, cited.quote) == (3, "It was Ada.")


def test_at_most_ten_pages_and_short_quotes_that_hold_the_words():
    row = "| cell " * 300 + "| Ada Lovelace | 1843 " + "| cell " * 300
    cited = cite([page(number, row) for number in range(30)], "Ada Lovelace", "Who?")
    assert len(cited) == MOST
    for citation in cited:
        assert len(citation.quote) <= QUOTE_CHARACTERS
        assert "Ada Lovelace" in citation.quote


def test_other_scripts():
    [cited] = cite([page(1, "今天下雨。获奖者是汪萌教授。")], "汪萌", "谁获奖？")
    assert "汪萌" in cited.quote


def test_pages_without_text_and_answers_without_words():
    assert cite([page(1, "")], "Ada", "Who?")[0].quote == ""
    assert len(cite([page(1, "some text")], "!!!", "???")) == 1
    assert cite([], "Ada", "Who?") == []


def test_the_page_about_the_answer_comes_before_one_that_lists_it():
    question, wanted = (
        "Which math function returns the greatest common divisor?",
        "math.gcd \u2014 Greatest Common Divisor.",
    )
    module = Source("pydoc:math", "math \u2014 mathematical functions", "- `math.gcd`: Greatest Common Divisor.", 10)
    function = Source("pydoc:math.gcd", "math.gcd \u2014 Greatest Common Divisor.", "Greatest Common Divisor.", 10)
    for read in ([module, function], [function, module]):
        assert [citation.url for citation in cite(read, wanted, question)] == ["pydoc:math.gcd", "pydoc:math"]


def test_a_quote_that_carries_more_of_the_answer_outranks_a_title():
    about = Source("https://a.example", "Ada Lovelace", "Ada wrote notes.", 1)
    carrying = Source("https://b.example", "Letters", "Ada Lovelace won the prize in 1843.", 2)
    assert [c.seq for c in cite([about, carrying], "Ada Lovelace, 1843", "Who won the prize, and when?")] == [2, 1]
