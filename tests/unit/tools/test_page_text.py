"""Bodies to text: kinds, and what cannot be read."""

from __future__ import annotations

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.tools.pages.text import PageReader, kind_of


@pytest.mark.parametrize("body", [b"%PDF-1.7\n" + b"\x00junk" * 1000, b"%PDF-"], ids=["junk", "empty"])
async def test_a_pdf_that_cannot_be_read_says_so(body):
    reader = PageReader()
    try:
        with pytest.raises(BoundaryError) as caught:
            await reader.read(body, "application/pdf", None)
        assert caught.value.code == "page_unreadable"
        assert not caught.value.transient
    finally:
        await reader.aclose()
        await reader.aclose()


@pytest.mark.parametrize(
    ("media", "body", "kind"),
    [
        ("text/html; charset=x", b"x", "html"),
        ("application/xhtml+xml", b"x", "html"),
        ("", b"\n<!DOCTYPE HTML><p>", "html"),
        ("application/octet-stream", b"%PDF-1.4", "pdf"),
        ("text/html", b"%PDF-1.4", "pdf"),
        ("text/markdown", b"# x", "plain"),
        ("application/json", b"{}", "plain"),
        ("application/rss+xml", b"<rss/>", "plain"),
        ("application/ld+json", b"{}", "plain"),
        ("", b"just text", "plain"),
    ],
)
def test_kinds(media, body, kind):
    assert kind_of(body, media) == kind


@pytest.mark.parametrize("media", ["image/png", "video/mp4", "application/zip", "application/octet-stream"])
def test_kinds_without_text_are_refused(media):
    with pytest.raises(BoundaryError):
        kind_of(b"\x89PNG\x00\x00", media)


async def test_large_plain_text_and_html_leave_the_loop_free():
    reader = PageReader()
    try:
        page = await reader.read(b"<html><title>T</title><p>" + b"word " * 100_000, "text/html", None)
        assert page.title == "T"
        assert page.text.count("word") == 100_000
        assert (await reader.read(b"x" * 100_000, "text/plain", None)).text == "x" * 100_000
    finally:
        await reader.aclose()
