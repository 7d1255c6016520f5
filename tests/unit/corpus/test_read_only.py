"""One volume, one writer, readers that cannot write: they see every commit and leave no trace on the volume."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from literesearcher.corpus.index import LocalCorpus
from literesearcher.corpus.library import Library
from literesearcher.errors import BoundaryError


def note(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.md"
    file.write_text(f"# {name}\n\n{text}\n", encoding="utf-8")
    return file


def urls(corpus: LocalCorpus, query: str, tenant: str | None = None) -> list[str]:
    return [hit.url for hit in asyncio.run(corpus.search(query, tenant_id=tenant))]


def trace(volume: Path) -> dict[str, tuple[int, int]]:
    return {str(f): (f.stat().st_mtime_ns, f.stat().st_size) for f in sorted(volume.rglob("*"))}


def test_a_reader_that_may_not_write_sees_every_commit_and_leaves_no_trace(tmp_path):
    volume = tmp_path / "volume"
    writer = Library(volume)
    reader = LocalCorpus(volume, read_only=True)
    assert urls(reader, "wombat") == []
    writer.add(note(tmp_path / "a", "one", "The wombat digs."), "a")
    before = trace(volume)
    assert urls(reader, "wombat") == ["corpus:a/one.md"]
    page = asyncio.run(reader.page("corpus:a/one.md"))
    assert page is not None
    assert "The wombat digs." in page.text
    assert trace(volume) == before
    writer.add(note(tmp_path / "b", "two", "Another wombat swims."), "b")
    assert sorted(urls(reader, "wombat")) == ["corpus:a/one.md", "corpus:b/two.md"]
    writer.remove("a")
    assert urls(reader, "wombat") == ["corpus:b/two.md"]
    asyncio.run(reader.aclose())


def test_readers_keep_answering_while_the_writer_writes(tmp_path):
    volume = tmp_path / "volume"
    writer = Library(volume)
    writer.add(note(tmp_path / "a", "one", "The wombat digs."), "a")
    reader = LocalCorpus(volume, read_only=True)
    stop, failures = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                if "corpus:a/one.md" not in urls(reader, "wombat"):
                    failures.append("the page went away")
            except BoundaryError as error:
                failures.append(error.message)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(25):
            writer.add(note(tmp_path / f"n{number}", "more", f"Note {number} of a lemur."), f"n{number}")
    finally:
        stop.set()
        thread.join(60)
    assert not failures
    assert len(urls(reader, "lemur")) == 10


def test_the_view_goes_away_with_its_reader(tmp_path, monkeypatch):
    beside = tmp_path / "tmp"
    beside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(beside))
    Library(tmp_path / "volume").add(note(tmp_path / "a", "one", "The wombat digs."), "a")
    reader = LocalCorpus(tmp_path / "volume", read_only=True)
    assert urls(reader, "wombat")
    assert len(list(beside.iterdir())) == 1
    asyncio.run(reader.aclose())
    assert list(beside.iterdir()) == []
    assert urls(reader, "wombat"), "a closed reader opens anew"
    asyncio.run(reader.aclose())


def test_what_a_writer_leaves_can_be_read_by_others(tmp_path):
    volume = tmp_path / "volume"
    Library(volume).add(note(tmp_path / "a", "one", "The wombat digs."), "a")
    wanted = (volume / "format.json").stat().st_mode & 0o777
    assert {(volume / "index" / name).stat().st_mode & 0o777 for name in ("meta.json", ".managed.json")} == {wanted}


def test_a_reader_that_may_not_write_says_who_may(tmp_path):
    with pytest.raises(BoundaryError, match="CORPUS__READ_ONLY") as caught:
        Library(tmp_path / "volume", read_only=True).add(note(tmp_path / "a", "one", "x"), "a")
    assert caught.value.code == "corpus_unwritable"
    assert not (tmp_path / "volume").exists()
