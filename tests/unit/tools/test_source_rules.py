"""A job's source policy on results, targets and pages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from literesearcher.errors import CallerError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.tools.providers.port import FetchedPage, SearchResult
from literesearcher.tools.sources.rules import SourceRules, domain_of, left_out_line, said

NOW = datetime(2024, 5, 15, tzinfo=UTC)


def rules(pages_read=None, **policy) -> SourceRules:
    return SourceRules(SourcePolicy(**policy), pages_read)


@pytest.mark.parametrize(
    ("allow", "deny", "url", "reason"),
    [
        (["example.com"], [], "https://example.com/", None),
        (["example.com"], [], "https://EN.Example.COM./x", None),
        (["Example.Com."], [], "https://example.com/", None),
        (["example.com"], [], "https://notexample.com/", "domain_not_allowed"),
        (["example.com"], [], "https://example.com.evil.net/", "domain_not_allowed"),
        (["example.com"], [], "https://evil.net/example.com", "domain_not_allowed"),
        (["example.com"], [], "https://evil.net?example.com", "domain_not_allowed"),
        (["example.com"], [], "https://example.com@evil.net/", "domain_not_allowed"),
        (["example.com"], [], "https://evil.net\\@example.com/", "domain_not_allowed"),
        (["example.com"], [], "https://com/", "domain_not_allowed"),
        (["example.com"], [], "corpus:notes.md", "domain_not_allowed"),
        (["example.com"], [], "not a URL", "domain_not_allowed"),
        ([".gov", ".ac.uk"], [], "https://www.nasa.gov/", None),
        ([".gov", ".ac.uk"], [], "https://ox.ac.uk/", None),
        ([".gov", ".ac.uk"], [], "https://ac.uk/", "domain_not_allowed"),
        ([".gov"], [], "https://nasa.gov.evil.net/", "domain_not_allowed"),
        ([".gov"], [], "https://fakegov/", "domain_not_allowed"),
        (["bücher.de"], [], "https://www.xn--bcher-kva.de/", None),
        (["xn--bcher-kva.de"], [], "https://BÜCHER.de/", None),
        (["8.8.8.8"], [], "https://8.8.8.8/", None),
        ([], ["example.com"], "https://example.com/", "domain_denied"),
        ([], ["example.com"], "https://a.b.example.com/", "domain_denied"),
        ([], ["example.com"], "https://ｅxample。com/", "domain_denied"),
        ([], ["example.com"], "https://other.com/", None),
        ([], ["example.com"], "corpus:notes.md", None),
        # denied outranks allowed, wherever the more exact one stands
        (["docs.example.com"], ["example.com"], "https://docs.example.com/", "domain_denied"),
        (["example.com"], ["docs.example.com"], "https://docs.example.com/", "domain_denied"),
        (["example.com"], ["docs.example.com"], "https://www.example.com/", None),
        # what is no domain matches nothing, and an allow list of only that allows nothing
        (["http://example.com"], [], "https://example.com/", "domain_not_allowed"),
        ([], ["http://example.com"], "https://example.com/", None),
    ],
)
def test_the_site_of_a_target(allow, deny, url, reason):
    assert rules(allow_domains=tuple(allow), deny_domains=tuple(deny)).of_target(url) == reason


def result(link="https://a.com/", title="T", snippet=None, date=None) -> SearchResult:
    return SearchResult(title, link, snippet, date)


def test_results_are_left_out_and_counted_by_reason_and_the_rest_keep_their_order():
    policy = {
        "deny_domains": ("evil.com",),
        "allow_domains": (".com", ".cn"),
        "published_after": "2024-01-01",
        "published_before": "2024-05-12",
        "languages": ("en",),
        "max_pages_per_domain": 2,
    }
    listed = [
        result("https://a.com/1"),
        result("https://evil.com/"),
        result("https://b.org/"),
        result("https://a.com/2", date="Dec 31, 2023"),
        result("https://a.com/3", date="Jan 1, 2024"),
        result("https://a.com/4", date="2 days ago"),
        result("https://a.com/5", date="2024年5月13日"),
        result("https://a.com/6", date="unreadable"),
        result("https://c.cn/", title="委员会在那一年的春天发表了关于湖泊状况的报告，并呼吁各方采取措施"),
        result("https://docs.full.com/"),
        result("https://half.com/"),
    ]
    filtered = rules({"full.com": 2, "half.com": 1}, **policy).results(listed, now=NOW)
    kept = ["https://a.com/1", "https://a.com/3", "https://a.com/4", "https://a.com/6", "https://half.com/"]
    assert [one.link for one in filtered.results] == kept
    assert filtered.left_out == {
        "domain_denied": 1,
        "domain_not_allowed": 1,
        "published_date": 2,
        "language": 1,
        "pages_of_domain": 1,
    }


def test_without_a_policy_nothing_is_left_out_and_nothing_is_looked_at():
    listed = (result("not a URL"), result("javascript:x"))
    filtered = SourceRules(ANY_SOURCE, {"a.com": 10**6}).results(listed, now=NOW)
    assert filtered.results == listed
    assert filtered.left_out == {}


def test_a_date_of_a_year_or_month_is_left_out_only_where_all_of_it_is():
    listed = [result(date="2023"), result(date="2024"), result(date="May 2024"), result(date="Apr 2024")]
    kept = rules(published_after="2024-05-10").results(listed, now=NOW).results
    assert [one.date for one in kept] == ["2024", "May 2024"]


def page(text="Words of a page. " * 50, **facts) -> FetchedPage:
    return FetchedPage("direct", text, **facts)


def test_a_page_is_judged_where_redirects_led():
    allowed = rules(allow_domains=("a.com",))
    assert allowed.of_page(page(url="https://www.a.com/x"), "https://a.com/") is None
    assert allowed.of_page(page(url="https://evil.net/"), "https://a.com/") == "domain_not_allowed"
    assert allowed.of_page(page(), "https://a.com/") is None
    assert rules(deny_domains=("b.com",)).of_page(page(url="https://b.com/"), "https://a.com/") == "domain_denied"


def test_a_page_is_judged_by_the_day_and_the_language_that_it_declares():
    dated = rules(published_after="2024-01-01", published_before="2024-12-31")
    days = ["2023-12-31", "2024-01-01", "2024-12-31", "2025-01-01", "garbage", None]
    found = [dated.of_page(page(published=day), "https://a.com/") for day in days]
    assert found == ["published_date", None, None, "published_date", None, None]
    english = rules(languages=("en",))
    assert english.of_page(page(language="de"), "https://a.com/") == "language"
    assert english.of_page(page(language="en"), "https://a.com/") is None
    assert english.of_page(page("委员会发表了报告。" * 50, language="en"), "https://a.com/") == "language"


def test_pages_of_a_site_are_counted_in_the_order_asked_over_the_whole_job():
    counting = rules({"a.co.uk": 1}, max_pages_per_domain=3)
    urls = ["https://a.co.uk/1", "https://x.a.co.uk/2", "https://b.com/", "https://A.co.uk./3", "corpus:a", "corpus:b"]
    assert [counting.take(url) for url in urls] == [None, None, None, "pages_of_domain", None, None]
    # Redirects count where they lead, and one within a site counts once.
    assert counting.of_page(page(url="https://www.b.com/y"), "https://b.com/") is None
    assert [counting.of_page(page(url="https://b.com/"), "https://c.com/") for _ in range(3)] == [
        None,
        None,
        "pages_of_domain",
    ]
    assert counting.of_page(page(url="https://a.co.uk/"), "https://c.com/") == "pages_of_domain"


def test_without_a_maximum_nothing_is_counted():
    unlimited = rules(languages=("en",))
    assert [unlimited.take("https://a.com/") for _ in range(200)] == [None] * 200


@pytest.mark.parametrize("field", ["published_after", "published_before"])
@pytest.mark.parametrize("value", ["yesterday", "2024-02-30", "", "2024"])
def test_a_date_that_is_none_is_the_callers_error_and_never_no_limit(field, value):
    with pytest.raises(CallerError) as caught:
        rules(**{field: value})
    assert field in str(caught.value)


def test_what_the_model_reads():
    assert said("domain_denied") == (
        "This page may not be read: its site is on the list of denied sites (source policy of this job)."
    )
    assert left_out_line({"language": 1}) == "(1 result left out by this job's source policy.)"
    assert left_out_line({"language": 1, "domain_denied": 2}) == "(3 results left out by this job's source policy.)"


def test_what_counts_a_page():
    assert domain_of("https://docs.example.co.uk/x") == "example.co.uk"
    assert domain_of("corpus:x") is None
