"""Names of this machine and pages of other sites; how the borders use them is tested over HTTP."""

from __future__ import annotations

import pytest

from literesearcher.settings.own_site import from_another_site, host_name, is_loopback


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.9.8.7", "::1", "[::1]", "::ffff:127.0.0.1", " localhost "]
)
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "localhost.evil.example", "2130706433", "127.0.0.1:80"]
)
def test_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Name.Example.:8000", "name.example"),
        ("[::1]:8000", "::1"),
        ("::1", "::1"),
        ("10.0.0.1:1", "10.0.0.1"),
        ("", None),
        ("0.0.0.0:80", None),
        ("evil@localhost", None),
        ("localhost/x", None),
        ("localhost?x", None),
        ("localhost:99999", None),
        ("[::1", None),
    ],
)
def test_name_in_a_host(host, name):
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("origins", "sites", "foreign"),
    [
        ([], [], False),
        (["http://me.example:8000"], ["same-origin"], False),
        (["https://ME.example:8000"], ["none"], False),
        (["http://me.example"], [], True),
        (["http://me.example:8000", "http://evil.example"], [], True),
        (["http://me.example:8000?x"], [], True),
        (["http://me.example:8000/"], [], True),
        (["null"], [], True),
        ([""], [], True),
        ([], ["same-origin", "cross-site"], True),
        ([], [" Same-Site "], True),
    ],
)
def test_pages_of_other_sites(origins, sites, foreign):
    assert from_another_site("me.example:8000", origins, sites) is foreign


def test_a_request_without_host_takes_no_origin():
    assert from_another_site("", ["http://localhost"], [])
    assert not from_another_site("", [], [])
