"""Host names in one spelling, who registered them, and which deceive the eye."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literesearcher.tools.perimeter.guard import Guard, RefusedTarget
from literesearcher.tools.sources.domains import deceives, host_name, host_of, is_public_suffix, registrable


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("WWW.Example.COM.", "example.com"),
        ("docs.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("www.gov.cn", "www.gov.cn"),
        ("stats.gov.cn", "stats.gov.cn"),
        ("data.stats.gov.cn", "stats.gov.cn"),
        ("a.b.go.jp", "b.go.jp"),
        ("me.github.io", "me.github.io"),
        ("x.me.github.io", "me.github.io"),
        ("id.me", "id.me"),
        ("login.id.me", "id.me"),
        ("t.co", "t.co"),
        ("a.t.co", "t.co"),
        ("www.example.xn--fiqs8s", "example.xn--fiqs8s"),
        ("8.8.8.8", "8.8.8.8"),
        ("2606:4700::1111", "2606:4700::1111"),
        ("wiki", "wiki"),
    ],
)
def test_the_registrable_name(host, name):
    assert registrable(host) == name


@given(st.lists(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), min_size=1, max_size=6))
def test_a_name_under_another_counts_for_the_same_and_none_is_counted_twice(labels):
    name = registrable(".".join(labels))
    assert registrable(name) == name
    assert ".".join(labels).endswith(name)
    if not is_public_suffix(name):
        assert registrable(f"deeper.{'.'.join(labels)}") == name


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://EXAMPLE.com./x", "example.com"),
        ("http://Bücher.de", "xn--bcher-kva.de"),
        ("http://xn--bcher-kva.de/", "xn--bcher-kva.de"),
        ("http://ｅｘａｍｐｌｅ.com/", "example.com"),
        ("http://例え。テスト/", "xn--r8jz45g.xn--zckzah"),
        (" http://a.example:8080/?q=http://b.example ", "a.example"),
        ("http://[2606:4700::1111]/", "2606:4700::1111"),
        ("http://user@a.example/", "a.example"),
        ("http://b.example\\@a.example/", None),
        ("http://%65xample.com/", None),
        ("corpus:a.md", None),
        ("ftp://a.example/", None),
        ("a.example", None),
        ("", None),
        ("http://", None),
        ("http://[::1", None),
    ],
)
def test_the_host_of_a_url_in_its_one_spelling(url, host):
    assert host_of(url) == host


@pytest.mark.parametrize("text", ["", " ", "a b", "a/b", "a:80", "a@b", "%41", "http://a", "."])
def test_what_is_no_host_name(text):
    with pytest.raises(ValueError):
        host_name(text)


DECEIVING = ["pаypal.com", "аpple.com", "gοogle.com", "www.ехample.com", "раypal.com", "ɑррle.com", "exampleжд.com"]
HONEST = [
    "пример.рф",
    "例え.jp",
    "東京タワー.jp",
    "yahooニュース.jp",
    "中文abc.cn",
    "한국어abc.kr",
    "bücher.de",
    "παράδειγμα.gr",
    "paypal.com",
    "xn--pypal-4ve.com",  # shown as punycode, it deceives nobody
    "президент.example.com",  # each label is of one script
]


@pytest.mark.parametrize("host", DECEIVING)
def test_a_label_of_mixed_scripts_is_refused(host):
    assert deceives(host)
    with pytest.raises(RefusedTarget):
        Guard().target(f"https://{host}/")
    with pytest.raises(RefusedTarget):
        Guard().target(f"https://sub.{host.upper()}:8443/?x")


@pytest.mark.parametrize("host", HONEST)
def test_ordinary_names_of_any_script_pass(host):
    assert not deceives(host)
    assert Guard().target(f"https://{host}/путь/αβγ?q=жabc").raw_host
