"""The built-in corpus: what it holds, that building it runs none of it, and several processes at it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from literesearcher.corpus.index import LocalCorpus
from literesearcher.corpus.library import Library
from literesearcher.corpus.pydoc import build
from literesearcher.errors import BoundaryError


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("pydoc:heapq.merge", ["heapq.merge(*iterables, key=None, reverse=False)", "multiple sorted inputs", "`key`"]),
        ("pydoc:heapq", ["Heap queue algorithm", "`heapq.merge`", "`heapq.heappush`"]),
        ("pydoc:math.gcd", ["math.gcd(*integers)", "Greatest Common Divisor"]),
        ("pydoc:math", ["`math.pi` = `3.14159"]),
        ("pydoc:itertools.product", ["Cartesian product", "repeat=1"]),
        ("pydoc:builtins.sorted", ["key=None, reverse=False", "Built-in function"]),
        ("pydoc:builtins.str", ["### str.removeprefix"]),
        ("pydoc:builtins.str.removeprefix", ["removed if present"]),
        ("pydoc:json.JSONDecodeError", ["subclass of `ValueError`"]),
        ("pydoc:collections.Counter", ["counting hashable", "### Counter.most_common(n=None)"]),
        ("pydoc:collections.deque", ["### deque.appendleft"]),
        ("pydoc:collections.abc.Mapping", ["Mapping"]),
        ("pydoc:functools.reduce", ["reduce(function, "]),
        ("pydoc:os.listdir", ["directory"]),
        ("pydoc:os.path.join", ["os.path.join(a, *p)"]),
        ("pydoc:os.path.getsize", ["size of a file"]),
        ("pydoc:random.choices", ["weights=None", "Function of the module `random`"]),
        ("pydoc:asyncio.gather", ["return_exceptions=False"]),
        ("pydoc:zlib.crc32", ["CRC-32"]),
        ("pydoc:unicodedata.name", ["name"]),
    ],
)  # fmt: skip
async def test_the_page_holds_signature_and_docstring(pydoc_dir, url, parts):
    page = await LocalCorpus(pydoc_dir).page(url)
    assert page is not None
    assert [part for part in parts if part not in page.text] == []
    assert page.text.startswith("# ")


async def test_every_tenant_reads_it(pydoc_dir):
    corpus = LocalCorpus(pydoc_dir)
    hits = await corpus.search("merge several sorted inputs", tenant_id="somebody")
    assert hits[0].url == "pydoc:heapq.merge"
    assert hits[0].title == "heapq.merge — Merge multiple sorted inputs into a single sorted output."


async def test_nothing_comes_from_outside_the_standard_library(pydoc_dir):
    corpus = LocalCorpus(pydoc_dir)
    for url in ("pydoc:pytest", "pydoc:tantivy", "pydoc:literesearcher", "pydoc:conftest", "pydoc:test.support",
                "pydoc:idlelib", "pydoc:antigravity", "pydoc:this"):  # fmt: skip
        assert await corpus.page(url) is None
    [info] = Library(pydoc_dir).names()
    assert info.pages > 3000


def test_it_is_built_once_and_again_for_another_builder(tmp_path, monkeypatch):
    library = Library(tmp_path)
    told = []
    assert library.ensure_pydoc(lambda what, done, total: told.append((what, done, total)))
    assert told
    assert all(done <= total for _, done, total in told)
    assert not library.ensure_pydoc()
    before = library.names()[0].pages
    monkeypatch.setattr(build, "BUILDER", "another")
    assert library.ensure_pydoc()
    assert library.names()[0].pages == before


def test_a_child_that_fails_says_so_and_leaves_no_half_corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(build.sys, "executable", "/bin/false")
    with pytest.raises(BoundaryError) as raised:
        Library(tmp_path).ensure_pydoc()
    assert raised.value.code == "corpus_build_failed"
    assert Library(tmp_path).names() == []


def test_building_imports_nothing_that_it_documents(tmp_path):
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in ("heapq", "turtle", "sitecustomize", "itertools_extra"):
        (hostile / f"{name}.py").write_text("raise SystemExit('imported from the working directory')")
    program = (
        "import sys; from pathlib import Path; from literesearcher.corpus.library import Library\n"
        "Library(Path(sys.argv[1])).ensure_pydoc()\n"
        "seen = {'turtle', 'tkinter', 'smtplib', 'ftplib', 'imaplib', 'wave'} & set(sys.modules)\n"
        "assert not seen, seen\n"
    )
    # The builder's own process may not see the folder; the child and the source reader must not.
    made = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / "corpus")],
        cwd=hostile, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


ENSURE = (
    "import sys; from pathlib import Path; from literesearcher.corpus.library import Library\n"
    "print(Library(Path(sys.argv[1]), wait_seconds=120).ensure_pydoc())\n"
)


def test_processes_that_come_at_once_build_it_once(tmp_path):
    running = [
        subprocess.Popen([sys.executable, "-c", ENSURE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outcomes = [process.communicate(timeout=150)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sorted(outcomes) == ["False", "False", "True"]


ADD = (
    "import sys; from pathlib import Path; from literesearcher.corpus.library import Library\n"
    "library = Library(Path(sys.argv[1]), wait_seconds=60)\n"
    "for n in range(100000):\n"
    "    library.add(Path(sys.argv[2]), f'c{n}'); print(n, flush=True)\n"
)


async def test_a_kill_in_mid_write_leaves_what_was_acknowledged(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    for n in range(40):
        (docs / f"{n}.md").write_text(f"# Page {n}\n\nkowari " + "word " * 500)
    directory = tmp_path / "corpus"
    acknowledged = -1
    for round_ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", ADD, str(directory), str(docs)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(2 + round_):
            acknowledged = max(acknowledged, int(process.stdout.readline()))
        time.sleep(0.01 * round_)
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
        acknowledged = max([acknowledged, *map(int, rest)])
        library = Library(directory, wait_seconds=10)
        names = {info.name: info.pages for info in library.names()}
        assert all(names[f"c{n}"] == 40 for n in range(acknowledged + 1))
        assert set(names.values()) == {40}
        hits = await LocalCorpus(directory).search("kowari", limit=5)
        assert len(hits) == 5
    # The lock of a killed writer is free.
    assert Library(directory, wait_seconds=1).add(docs, "last").pages == 40


async def test_readers_see_another_process_s_commit(tmp_path):
    docs = tmp_path / "a.md"
    docs.write_text("quoll one")
    corpus = LocalCorpus(tmp_path / "corpus")
    assert await corpus.search("quoll") == []
    program = ADD.replace("range(100000)", "range(1)")
    for text in ("quoll one", "quoll two"):
        docs.write_text(text)
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "corpus"), str(docs)],
            check=True,
            capture_output=True,
            timeout=60,
        )
        assert [hit.snippet for hit in await corpus.search("quoll")] == [text]
