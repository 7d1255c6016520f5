"""PDFs: page by page, within bounds, one at a time, and those that cannot be read."""

from __future__ import annotations

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.reading import pdf_text
from literesearcher.reading.pdf_text import is_pdf, pdf_to_text


def read(body: bytes, *, max_pages=100, max_characters=10_000, seconds=30):
    return pdf_to_text(body, max_pages=max_pages, max_characters=max_characters, seconds=seconds)


def pdf(*pages: str, title: str = "", trailer: str = "") -> bytes:
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
    if title:
        objects.append(f"<< /Title ({title}) >>")
        trailer += f" /Info {len(objects)} 0 R"
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
    text, _ = read(pdf("First page", "Second page"))
    assert "First page" in text
    assert text.index("First page") < text.index("Second page")


def test_title_and_bounds():
    body = pdf("one", "", "two", "three", title="Report of 1987")
    assert read(body) == ("one\n\ntwo\n\nthree", "Report of 1987")
    assert read(body, seconds=None) == read(body)
    assert read(body, max_pages=3)[0] == "one\n\ntwo"
    assert read(body, max_characters=5)[0] == "one\n\ntwo"
    assert read(body, seconds=0.0)[0] == "one"


ENCRYPTED = (
    "/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -44 "
    f"/O <{'ab' * 32}> /U <{'cd' * 32}> >> /ID [<{'01' * 16}> <{'01' * 16}>]"
)


@pytest.mark.parametrize(
    "body",
    [b"%PDF-1.7\n" + b"\x00junk" * 1000, b"%PDF-", pdf("x")[:60], pdf("x", trailer=ENCRYPTED), zlib.compress(pdf("x"))],
    ids=["junk", "empty", "cut", "password", "compressed"],
)
def test_a_pdf_that_cannot_be_read_says_so(body):
    with pytest.raises(BoundaryError) as caught:
        read(body)
    assert caught.value.code == "page_unreadable"
    assert not caught.value.transient
    assert read(pdf("the next one"))[0] == "the next one"


def test_many_threads_read_at_once():
    """Whoever asks: PDFium itself would crash."""
    bodies = [pdf(*(f"page {page} of {number}" for page in range(20))) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(lambda body: read(body)[0], bodies * 4))
    for number, text in enumerate(texts):
        assert text.split("\n\n") == [f"page {page} of {number % 8}" for page in range(20)]


def test_who_waits_too_long_for_others_may_come_again(monkeypatch):
    held = threading.Lock()
    monkeypatch.setattr(pdf_text, "_PDFIUM", held)
    with held, pytest.raises(BoundaryError) as caught:
        read(pdf("x"), seconds=0.01)
    assert (caught.value.code, caught.value.transient) == ("page_unreadable", True)


def test_kind():
    assert is_pdf(b"\n %PDF-1.4")
    assert not is_pdf(b"of %PDF-1.4")
