"""HTML to Markdown: what is kept, what is dropped, and hostile pages."""

from __future__ import annotations

import pytest

from literesearcher.reading.html_text import html_to_text


def test_html_becomes_markdown_with_its_title_and_absolute_links():
    text, title = html_to_text(
        "<html><head><title>A &amp; B</title><meta name=description content=d></head><body>"
        "<nav><a href=/menu>menu</a></nav><h1>Head</h1><p>See <a href='/x?y=1'>this</a>.</p>"
        "<table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2</td></tr></table>"
        "<pre><code>x = 1\n</code></pre><script>alert(1)</script></body></html>" + "<p>filler words</p>" * 30,
        "https://site.example/dir/page",
    )
    assert title == "A & B"
    assert not text.startswith("---")
    assert "# Head" in text
    assert "(https://site.example/x?y=1)" in text
    assert "| 1 | 2 |" in text
    assert "x = 1" in text
    assert "alert" not in text


@pytest.mark.parametrize(
    "source",
    [
        "<div>" * 100_000 + "the hidden words" + "</div>" * 100_000,
        "<ul><li>" * 50_000 + "the hidden words",
        "<script>x</script><style>y</style>" + "<span>" * 5_000 + "the hidden words &amp; more",
    ],
)
def test_deep_nesting_falls_back_to_bare_text(source):
    text, _ = html_to_text(source)
    assert "the hidden words" in text
    assert "<" not in text


@pytest.mark.parametrize(
    "source",
    [
        "<" * 500_000,
        "<script>" * 200_000,
        "<!--" * 100_000,
        "&" * 300_000,
        "<a " + "x=1 " * 200_000,
        "<table>" * 3_000 + "x",
        "]]>" * 100_000,
        "\x00" * 100_000 + "<p>x",
        "<p>" + "word " * 2_000_000,
    ],
    ids=["angles", "scripts", "comments", "ampersands", "attributes", "tables", "cdata", "nulls", "ten megabytes"],
)
@pytest.mark.timeout(60)
def test_hostile_html_is_read_in_bounded_time(source):
    """Quadratic work would take many minutes."""
    html_to_text(source)


def test_half_a_surrogate_pair_makes_no_page_unreadable():
    text, title = html_to_text("<html><title>T\ud800</title><p>before \udc00 after, and &#xD800; too</p></html>")
    assert title == "T\ufffd"
    assert "before \ufffd after" in text
    text.encode()
