"""Valid Unicode: nothing else is let in."""

from __future__ import annotations

import pytest

from literesearcher.reading.unicode_text import valid_unicode


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("naïve ✓ \U0001d11e\0", "naïve ✓ \U0001d11e\0"),
        ("a\ud800b", "a\ufffdb"),
        ("a\udc00\udc00", "a\ufffd\ufffd"),
        ("\ud834\udd1e", "\U0001d11e"),  # a pair that came as two halves
        ("\ufeffmarked\ud800", "\ufeffmarked\ufffd"),
        ("bytes of a path \udcff\udce9.txt", "bytes of a path \ufffd\ufffd.txt"),
    ],
)
def test_lone_surrogates_are_replaced_and_nothing_else(text, expected):
    assert valid_unicode(text) == expected
