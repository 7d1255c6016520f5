"""A disk that is full while a corpus is written: the corpus stays as it was, and nobody is told to throw it away."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

import services
from literesearcher.corpus.index import LocalCorpus
from literesearcher.corpus.library import Library
from literesearcher.errors import BoundaryError

PATIENCE = 120
KIB = 1024


def documents(folder: Path, count: int) -> Path:
    """Pages that do not compress well: about 300 kB each."""
    folder.mkdir()
    for number in range(count):
        chance = random.Random(number)
        (folder / f"{number}.txt").write_text(" ".join(f"{chance.getrandbits(60):x}" for _ in range(20_000)))
    return folder


@pytest.mark.parametrize("room", [0, 8 * KIB, 64 * KIB, 512 * KIB, 2048 * KIB])
async def test_a_full_disk_is_named_and_the_corpus_stays_as_it_was(
    small_disk: services.SmallDisk, tmp_path: Path, room: int
) -> None:
    library = Library(small_disk.path / "corpus")
    (tmp_path / "kept.md").write_text("The quokka smiles.")
    library.add(tmp_path / "kept.md")
    large = documents(tmp_path / "large", 20)
    small_disk.leave(room)
    for _ in range(2):
        with pytest.raises(BoundaryError) as caught:
            library.add(large)
        assert caught.value.code == "corpus_full"
        assert "make room" in caught.value.message
        assert "remove" not in caught.value.message
    found = await LocalCorpus(library.directory).search("quokka")
    assert [hit.url for hit in found] == ["corpus:kept/kept.md"]
    small_disk.empty()
    (tmp_path / "more.md").write_text("Another quokka.")
    assert library.add(tmp_path / "more.md").pages == 1, "what was half written is gone, too"
    assert len(await LocalCorpus(library.directory).search("quokka")) == 2


@pytest.mark.parametrize("room", [0, 4 * KIB, 8 * KIB, 16 * KIB, 64 * KIB])
def test_a_first_corpus_on_a_full_disk_can_be_made_later(
    small_disk: services.SmallDisk, tmp_path: Path, room: int
) -> None:
    large = documents(tmp_path / "large", 3)
    small_disk.leave(room)
    with pytest.raises(BoundaryError) as caught:
        Library(small_disk.path / "corpus").add(large)
    assert caught.value.code == "corpus_full"
    small_disk.empty()
    (tmp_path / "first.md").write_text("The first quokka.")
    assert Library(small_disk.path / "corpus").add(tmp_path / "first.md").pages == 1


def test_a_write_that_fails_for_another_reason_is_no_broken_corpus(tmp_path: Path) -> None:
    (tmp_path / "kept.md").write_text("The quokka smiles.")
    library = Library(tmp_path / "corpus")
    library.add(tmp_path / "kept.md")
    script = (
        "import pathlib, resource, signal, sys\n"
        "from literesearcher.corpus.library import Library\n"
        "from literesearcher.errors import BoundaryError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n    Library(pathlib.Path(sys.argv[1])).add(pathlib.Path(sys.argv[2]))\n"
        "except BoundaryError as error:\n    print(error.code, error.message)\n"
    )
    large = documents(tmp_path / "large", 3)
    done = subprocess.run(
        [sys.executable, "-c", script, str(library.directory), str(large)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.startswith("corpus_unwritable"), done.stdout + done.stderr[-500:]
    assert "remove" not in done.stdout
    assert Library(library.directory).add(tmp_path / "kept.md").pages == 1
