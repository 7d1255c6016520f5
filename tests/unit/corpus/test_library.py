"""The library: what replaces what, what is left out and named, what is refused."""

from __future__ import annotations

import gzip
import json
import os

import pytest
import zstandard

from literesearcher.corpus import record_files
from literesearcher.corpus.index import LocalCorpus
from literesearcher.corpus.library import Library, default_name
from literesearcher.errors import BoundaryError, CallerError, NotFound

PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj\n"
    b"4 0 obj<</Length 56>>stream\nBT /F1 12 Tf 20 100 Td (The wombat report of 1987) Tj ET\nendstream endobj\n"
    b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>\n"
)


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "corpus", wait_seconds=0.3)


async def _urls(library, query):
    return sorted(hit.url for hit in await LocalCorpus(library.directory).search(query))


async def test_every_kind_of_file_becomes_a_page(library, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("---\ntitle: Front title\n---\n\n# Other\n\nThe wombat digs.")
    (folder / "b.html").write_text(
        "<html><head><title>Wombat &amp; co</title></head><body><nav>menu</nav><h1>W</h1><p>A <b>wombat</b> page.</p>"
        "<pre>x = 1</pre><script>evil()</script></body></html>"
    )
    (folder / "c.txt").write_bytes("Ein Wombat in Österreich".encode("cp1252"))
    (folder / "d.pdf").write_bytes(PDF)
    (folder / "e f#g.md").write_text("wombat with an odd name")
    (folder / "utf16.txt").write_bytes("wombat in UTF-16".encode("utf-16"))
    report = library.add(folder)
    assert (report.name, report.pages, report.total_pages, report.skipped) == ("docs", 6, 6, [])
    corpus = LocalCorpus(library.directory)
    pages = {hit.url: await corpus.page(hit.url) for hit in await corpus.search("wombat")}
    assert sorted(pages) == [
        "corpus:docs/a.md", "corpus:docs/b.html", "corpus:docs/c.txt", "corpus:docs/d.pdf", "corpus:docs/e%20f%23g.md",
        "corpus:docs/utf16.txt",
    ]  # fmt: skip
    assert pages["corpus:docs/a.md"].title == "Front title"
    assert pages["corpus:docs/b.html"].title == "Wombat & co"
    assert "x = 1" in pages["corpus:docs/b.html"].text
    assert "evil" not in pages["corpus:docs/b.html"].text
    assert "Österreich" in pages["corpus:docs/c.txt"].text
    assert "1987" in pages["corpus:docs/d.pdf"].text


async def test_what_is_no_page_is_named_and_the_rest_goes_in(library, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "good.md").write_text("A good quokka page.")
    (folder / "binary.bin").write_bytes(b"\x00\x01\x02quokka")
    (folder / "empty.txt").write_text("  \n")
    (folder / "junk.pdf").write_bytes(b"%PDF-1.4 quokka junk")
    (folder / ".hidden.md").write_text("quokka")
    os.mkfifo(folder / "pipe.txt")
    outside = tmp_path / "outside.md"
    outside.write_text("quokka secret")
    (folder / "out.md").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "inside.md").symlink_to(folder / "good.md")
    (folder / "dangling.md").symlink_to(folder / "nothing")
    report = library.add(folder)
    skipped = {entry.path: entry.reason for entry in report.skipped}
    assert sorted(skipped) == [
        "binary.bin", "dangling.md", "empty.txt", "junk.pdf", "loop", "out.md", "pipe.txt",
    ]  # fmt: skip
    assert "binary" in skipped["binary.bin"]
    assert await _urls(library, "quokka") == ["corpus:mixed/good.md", "corpus:mixed/inside.md"]


RECORDS = [
    {"id": "1", "text": "numbat one", "metadata": {"title": "One", "url": "https://a.example/1"}},
    {"url": "https://a.example/2", "title": "Two", "doc": "numbat two"},
    {"link": "https://a.example/3", "title": "Three", "content": "numbat three"},
    {"link": "https://a.example/4", "title": "Four", "snippet": "numbat four"},
    {"id": "five", "text": "numbat five"},
    {"text": "numbat six"},
]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".json.gz"])
async def test_records_of_all_shapes_and_packings(library, tmp_path, suffix):
    body = "\n".join(json.dumps(record) for record in RECORDS).encode()
    if suffix.endswith(".gz"):
        # Two members, as `cat a.gz b.gz` makes.
        body = gzip.compress(body[:100]) + gzip.compress(body[100:])
    elif suffix.endswith(".zst"):
        body = zstandard.compress(body[:100]) + zstandard.compress(body[100:])
    path = tmp_path / f"pages{suffix}"
    path.write_bytes(body)
    report = library.add(path)
    assert (report.name, report.pages, report.broken_lines) == ("pages", 6, 0)
    assert await _urls(library, "numbat") == sorted(
        [f"https://a.example/{n}" for n in range(1, 5)]
        + [f"corpus:pages/pages{suffix}#five", f"corpus:pages/pages{suffix}#6"]
    )
    page = await LocalCorpus(library.directory).page("https://a.example/1")
    assert (page.title, page.text) == ("One", "numbat one")


async def test_broken_lines_are_counted_and_named_and_the_rest_goes_in(library, tmp_path, monkeypatch):
    monkeypatch.setattr(record_files, "LINE_BYTES", 1000)
    good = json.dumps({"url": "https://a.example/ok", "doc": "bilby lives \ud800 here"})
    nul = json.dumps({"url": "https://a.example/nul", "doc": "bilby\0nul"})
    bad = [
        "{",
        "[1]",
        '"text"',
        "{}",
        '{"text": ""}',
        '{"text": 5}',
        "\udcff" * 3,
        "[" * 900,
        '{"text": "' + "x" * 2000,
    ]
    long_url = json.dumps({"url": "https://a.example/" + "u" * 900 + "", "doc": "bilby"})
    lines = [good, "", *bad, "not json", nul, '{"text": "bilby last"}', "{broken", long_url]
    path = tmp_path / "r.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    report = library.add(path)
    assert report.broken_lines == len(bad) + 2
    assert [entry.line for entry in report.broken] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert all(entry.path == "r.jsonl" and entry.reason for entry in report.broken)
    assert "longer" in report.broken[8].reason
    assert report.pages == 4
    page = await LocalCorpus(library.directory).page("https://a.example/ok")
    assert page.text == "bilby lives \ufffd here"


async def test_a_cut_archive_gives_what_it_holds_and_says_so(library, tmp_path):
    body = "\n".join(json.dumps({"url": f"u:{n}", "doc": f"dunnart {n} {os.urandom(40).hex()}"}) for n in range(3000))
    for suffix, packed in (
        (".jsonl.gz", gzip.compress(body.encode())),
        (".jsonl.zst", zstandard.compress(body.encode())),
    ):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(packed[: len(packed) // 2] if suffix.endswith("gz") else packed[:-9] + b"\xff" * 9)
        try:
            report = library.add(path, f"cut-{suffix[-2:]}")
        except CallerError as error:
            assert "unpacked" in error.message  # noqa: PT017
            continue
        assert 0 < report.pages < 3000
        assert ("unpacked" in report.partial[0].reason, report.skipped) == (True, [])


def test_an_archive_that_unpacks_to_far_more_than_it_is_stops(library, tmp_path, monkeypatch):
    monkeypatch.setattr(record_files, "_BOMB_BYTES", 5_000_000)
    path = tmp_path / "bomb.jsonl.gz"
    good = json.dumps({"url": "u:1", "doc": "potoroo"}).encode() + b"\n"
    path.write_bytes(gzip.compress(good + b"\n" * 50_000_000))
    report = library.add(path)
    assert report.pages == 1
    assert "times its size" in report.partial[0].reason


async def test_adding_again_replaces_and_takes_out_what_is_gone(library, tmp_path):
    folder, other = tmp_path / "kb", tmp_path / "more"
    folder.mkdir()
    other.mkdir()
    (folder / "a.md").write_text("bettong one")
    (folder / "b.md").write_text("bettong two")
    (other / "c.md").write_text("bettong three")
    library.add(folder, "kb")
    library.add(other, "kb")
    (folder / "a.md").write_text("bettong changed")
    (folder / "b.md").unlink()
    report = library.add(folder, "kb")
    assert (report.pages, report.total_pages) == (1, 2)
    assert await _urls(library, "bettong") == ["corpus:kb/a.md", "corpus:kb/c.md"]
    assert await _urls(library, "changed") == ["corpus:kb/a.md"]
    assert await _urls(library, "one") == []
    [info] = library.names()
    assert (info.name, info.pages, len(info.sources)) == ("kb", 2, 2)
    assert library.remove("kb") == 2
    assert library.names() == []
    assert await _urls(library, "bettong") == []


def test_what_cannot_be_added_changes_nothing(library, tmp_path):
    good = tmp_path / "good.md"
    good.write_text("kept")
    library.add(good, "kept")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "x.bin").write_bytes(b"\0")
    for path, name in (
        (tmp_path / "none", None),
        (empty, None),
        (good, "No Name"),
        (good, "../x"),
        (good, "pydoc"),
        (good, ""),
    ):
        with pytest.raises(CallerError):
            library.add(path, name)
    for name in ("none", "pydoc", "A B"):
        with pytest.raises(CallerError):
            library.remove(name)
    with pytest.raises(NotFound):
        library.remove("kept", tenant_id="other")
    assert [(info.name, info.pages) for info in library.names()] == [("kept", 1)]


@pytest.mark.parametrize(
    ("path", "name"),
    [("Meeting Notes", "meeting-notes"), ("a.jsonl.gz", "a"), ("x.md", "x"), ("中文", "files"), ("pydoc", "files")],
)
def test_a_name_is_made_from_the_path(tmp_path, path, name):
    assert default_name(tmp_path / path) == name


def test_a_second_writer_waits_and_then_says_so(library, tmp_path):
    page = tmp_path / "a.md"
    page.write_text("text")
    told = []
    with library._storage.write():
        with pytest.raises(BoundaryError) as raised:
            library.add(page, progress=lambda what, done, total: told.append(what))
    assert raised.value.code == "corpus_busy"
    assert raised.value.transient
    assert len(told) == 1
    assert "waiting" in told[0]
    assert library.add(page).pages == 1


@pytest.mark.parametrize("victim", ["meta.json", "store", "format.json", "newer"])
async def test_a_broken_index_names_the_way_out_and_it_works(library, tmp_path, victim):
    page = tmp_path / "a.md"
    page.write_text("echidna " * 50)
    library.add(page)
    index = library.directory / "index"
    if victim == "newer":
        (library.directory / "format.json").write_text('{"schema": 999}')
    elif victim == "format.json":
        (library.directory / "format.json").write_text("{")
    elif victim == "meta.json":
        (index / "meta.json").write_text("{broken")
    else:
        for file in index.iterdir():
            if file.suffix in (".store", ".idx", ".term"):
                file.write_bytes(file.read_bytes()[:12])
    for call in (
        LocalCorpus(library.directory).search("echidna"),
        LocalCorpus(library.directory).page("corpus:a/a.md"),
    ):
        with pytest.raises(BoundaryError) as raised:
            await call
        assert raised.value.code == ("corpus_format" if victim == "newer" else "corpus_broken")
        assert "literesearcher corpus remove --all" in raised.value.message
    fresh = Library(library.directory)
    fresh.remove_all()
    assert fresh.names() == []
    assert fresh.add(page).pages == 1
    assert await _urls(fresh, "echidna") == ["corpus:a/a.md"]
