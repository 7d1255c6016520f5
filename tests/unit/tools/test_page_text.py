"""Bodies to text: charsets, kinds, hostile HTML and PDFs."""

from __future__ import annotations

import zlib

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.tools.charset import decode
from literesearcher.tools.html_text import html_to_text
from literesearcher.tools.page_text import PageReader, kind_of
from literesearcher.tools.pdf_text import PdfText

CHINESE = "山东财经大学计算机与人工智能学院，特聘教授名单。" * 20


@pytest.mark.parametrize(
    ("body", "declared", "expected"),
    [
        ("naïve café".encode(), None, "naïve café"),
        ("naïve café".encode(), "iso-8859-1", "naïve café"),  # a server that names the wrong charset
        ("naïve café".encode("latin-1"), "iso-8859-1", "naïve café"),
        ("“quoted”".encode("cp1252"), "iso-8859-1", "“quoted”"),
        (CHINESE.encode("gb18030"), "gb2312", CHINESE),
        (CHINESE.encode("gb18030"), None, CHINESE),
        (b'<meta charset="gbk">' + CHINESE.encode("gbk"), None, '<meta charset="gbk">' + CHINESE),
        (b'<?xml version="1.0" encoding="big5"?>' + "臺灣大學".encode("big5"), "nonsense", None),
        ("日本語".encode("iso2022_jp"), "iso-2022-jp", "日本語"),
        ("\ufeffmarked".encode(), "latin-1", "marked"),
        ("utf16 ✓".encode("utf-16"), None, "utf16 ✓"),
        (b"", "utf-8", ""),
        (b"plain", "rot13", "plain"),
        (b"plain", "unicode_escape", "plain"),
        ("é".encode() * 10 + b"\xc3", None, "é" * 10),  # cut inside a character
    ],
)
def test_charsets(body, declared, expected):
    text = decode(body, declared)
    text.encode()
    if expected is None:
        assert text.endswith("臺灣大學")
    else:
        assert text == expected


def test_any_bytes_become_valid_text():
    for seed in range(50):
        body = bytes((seed * 37 + i * i * 101) % 256 for i in range(300))
        for declared in (None, "utf-8", "utf-16", "gbk", "hz", "utf-7", "\x00", "x" * 100):
            decode(body, declared).encode()


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


def pdf(*pages: str, trailer: str = "") -> bytes:
    """A small PDF with a line of text a page."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for i, line in enumerate(pages):
        stream = f"BT /F1 12 Tf 50 700 Td ({line}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {5 + 2 * i} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out = "%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(f"{at:010} 00000 n \n" for at in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n"
    return out.encode("latin-1")


def test_pdf_text_page_by_page():
    text, _ = PdfText().read(pdf("First page", "Second page"), seconds=30)
    assert "First page" in text
    assert text.index("First page") < text.index("Second page")


ENCRYPTED = (
    "/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -44 "
    f"/O <{'ab' * 32}> /U <{'cd' * 32}> >> /ID [<{'01' * 16}> <{'01' * 16}>]"
)


@pytest.mark.parametrize(
    "body",
    [b"%PDF-1.7\n" + b"\x00junk" * 1000, b"%PDF-", pdf("x")[:60], pdf("x", trailer=ENCRYPTED), zlib.compress(pdf("x"))],
    ids=["junk", "empty", "cut", "password", "compressed"],
)
async def test_a_pdf_that_cannot_be_read_says_so(body):
    reader = PageReader()
    try:
        with pytest.raises(BoundaryError) as caught:
            await reader.read(body, "application/pdf", None)
        assert caught.value.code == "page_unreadable"
        assert not caught.value.transient
    finally:
        reader.close()
        reader.close()


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
        reader.close()
