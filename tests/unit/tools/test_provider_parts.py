"""What providers share: JSON, facts that pages declare, a source policy as operators, where a query is asked from."""

from __future__ import annotations

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.tools.providers.declared import day, final_url, language
from literesearcher.tools.providers.json_answer import json_object, objects, plain, refusal_object, text
from literesearcher.tools.providers.locale_rule import from_china, one_language
from literesearcher.tools.providers.narrowing import MAX_OPERATORS, with_sites


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("2024-05-06", "2024-05-06"),
        (" 2024-05-06T23:59:59-08:00", "2024-05-06"),
        ("Tue, 12 Nov 2024 23:30:00 -0200", "2024-11-13"),
        ("2024-13-01", None),
        ("2024-05-061", None),
        ("yesterday", None),
        ("", None),
        (20240506, None),
        (None, None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)
def test_days(given, read):
    assert day(given) == read


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("en", "en"),
        ("EN-us", "en"),
        (" zh_Hans_CN ", "zh"),
        ("eng", None),
        ("english", None),
        ("e", None),
        ("en us", None),
        (["en"], None),
        (None, None),
    ],
)
def test_languages(given, read):
    assert language(given) == read


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (" https://a.example/x ", "https://a.example/x"),
        ("HTTP://a.example", "HTTP://a.example"),
        ("javascript:x", None),
        ("//a.example", None),
        ("http://a.example/\nX: y", None),
        ("http://a.example/" + "x" * 9000, None),
        (7, None),
        (None, None),
    ],
)
def test_final_urls(given, read):
    assert final_url(given) == read


def test_texts():
    assert text(None) is None
    assert text("a\ud800b") == "a\ufffdb"
    assert text(7) == "7"
    assert plain("<b class='x'>a</b> &lt;i&gt; 1 < 2 > 0 &amp;amp; &#xD800;<br/>") == "a <i> 1 < 2 > 0 &amp; \ufffd"
    assert plain(None) is None


def test_json_objects():
    assert json_object("x", b'{"a": "\\ud800"}') == {"a": "\ud800"}
    assert refusal_object(b"[1]") == refusal_object(b"<html>") == refusal_object(b"") == {}
    assert objects("x", [{"a": 1}, 2, None, [3], {"b": 4}]) == [{"a": 1}, {"b": 4}]
    for wrong in (None, {"a": 1}, "text", 7):
        with pytest.raises(BoundaryError) as caught:
            objects("x", wrong)
        assert caught.value.code == "provider_garbage"


def test_a_search_without_a_policy_is_not_touched():
    for query in ("", " who  is ", 'a "b" OR -c', "谁"):
        assert with_sites(query, ANY_SOURCE) == query
        assert with_sites(query, SourcePolicy(languages=("de",), max_pages_per_domain=1)) == query


def test_operators_of_domains():
    assert with_sites("q", SourcePolicy(allow_domains=("a.org",))) == "q site:a.org"
    policy = SourcePolicy(allow_domains=("a.org", ".gov"), deny_domains=("b.a.org", ".xyz"))
    assert with_sites("q", policy) == "q (site:a.org OR site:.gov) -site:b.a.org -site:.xyz"


def test_allowed_domains_narrow_as_a_whole_or_not_at_all():
    many = tuple(f"a{number}.org" for number in range(MAX_OPERATORS + 1))
    assert with_sites("q", SourcePolicy(allow_domains=many)) == "q"
    assert with_sites("q", SourcePolicy(allow_domains=many[1:])).count("site:") == MAX_OPERATORS
    assert with_sites("q", SourcePolicy(deny_domains=many)).count("-site:") == MAX_OPERATORS
    both = with_sites("q", SourcePolicy(allow_domains=many[:10], deny_domains=many))
    assert (both.count(" -site:"), both.count("site:")) == (6, 16)


def test_the_place_and_the_language_of_a_query():
    assert [from_china(query) for query in ("谁", "a谁", "ひ", "한", "", "é")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    known = {"en", "zh", "de"}
    assert one_language("q", (), known) == "en"
    assert one_language("谁", (), known) == "zh"
    assert one_language("q", ("de", "en"), known) == "en"
    assert one_language("谁", ("fa", "de", "en"), known) == "de"
    assert one_language("q", ("fa",), known) is None
