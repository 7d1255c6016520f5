"""The local index against what could stand in its place: tantivy, SQLite FTS5 and, where installed, bm25s.

    python benchmarks/index_search.py [--pages 100000] [--words 250] [--queries 400]

Synthetic pages whose words follow Zipf's law, so that queries meet both rare and very common terms; the same pages and
queries for all, top 10, any word may match, best first. tantivy is measured as the platform uses it: our schema, page
store and writer, one commit. FTS5: porter stemmer, title weighted as ours, pages in the table. bm25s: its default, in
memory, pages not stored. Compare by ratio: single runs on whatever machine this is.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import random
import resource
import sqlite3
import statistics
import string
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from literesearcher.corpus.index import LocalCorpus
from literesearcher.corpus.records import CorpusInfo, Record
from literesearcher.corpus.storage import Storage

VOCABULARY = 60_000
SCOPE = "t:default"


class Pages:
    """Pages and queries, the same ones for the same arguments."""

    def __init__(self, pages: int, words: int) -> None:
        chance = random.Random(7)
        self.words = sorted({"".join(chance.choices(string.ascii_lowercase, k=chance.randint(3, 10)))
                             for _ in range(VOCABULARY)}, key=lambda _: chance.random())  # fmt: skip
        total, weights = 0.0, []
        for place in range(1, len(self.words) + 1):
            total += 1.0 / place
            weights.append(total)
        self.weights, self.count, self.length = weights, pages, words

    def __iter__(self) -> Iterator[Record]:
        chance = random.Random(11)
        for number in range(self.count):
            length = max(30, int(chance.lognormvariate(0, 0.6) * self.length))
            words = chance.choices(self.words, cum_weights=self.weights, k=length)
            yield Record(f"https://example.org/{number}", " ".join(words[:6]), " ".join(words))

    def queries(self, count: int) -> list[str]:
        """Two to six words each, common ones as often as they stand in pages."""
        chance = random.Random(13)
        return [" ".join(chance.choices(self.words, cum_weights=self.weights, k=chance.randint(2, 6)))
                for _ in range(count)]  # fmt: skip


def percentiles(search: Callable[[str], object], queries: list[str], threads: int) -> tuple[float, float, float]:
    """p50 and p99 in milliseconds, and queries a second."""

    def timed(query: str) -> float:
        started = time.perf_counter()
        search(query)
        return (time.perf_counter() - started) * 1000

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        taken = sorted(pool.map(timed, queries))
    rate = len(queries) / (time.perf_counter() - started)
    return statistics.median(taken), taken[int(len(taken) * 0.99) - 1], rate


def megabytes(path: Path) -> float:
    """Size on disk."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6


def _median_ms(call: Callable[[int], object], times: int) -> float:
    taken = []
    for number in range(times):
        started = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def measure_tantivy(pages: Pages, queries: list[str], folder: Path) -> dict[str, float]:
    """Ours."""
    storage, corpus = Storage(folder), LocalCorpus(folder)
    started = time.perf_counter()
    with storage.write() as writing:
        for record in pages:
            writing.add(record, scope=SCOPE, corpus="b", source="s")
        writing.put_info(CorpusInfo("b"), scope=SCOPE)
    row = {"build pages/s": pages.count / (time.perf_counter() - started), "disk MB": megabytes(folder)}

    def search(query: str) -> object:
        return asyncio.run(corpus.search(query))

    def raw(query: str) -> object:
        found = corpus._query(query)
        searcher = storage.searcher()
        assert found is not None
        assert searcher is not None
        return [searcher.doc(address) for _, address in searcher.search(found, 10, count=False).hits]

    raw(queries[0])
    row["1 thread p50 ms"], row["1 thread p99 ms"], _ = percentiles(raw, queries, 1)
    row["16 threads p50 ms"], row["16 threads p99 ms"], row["16 threads q/s"] = percentiles(raw, queries, 16)
    row["with snippets p50 ms"] = percentiles(search, queries, 1)[0]
    row["page by URL p50 ms"] = _median_ms(lambda n: corpus._page(f"https://example.org/{n * 37}", [SCOPE]), 200)

    def add(number: int) -> None:
        with storage.write() as writing:
            writing.add(Record(f"new:{number}", "t", "some words"), scope=SCOPE, corpus="b", source="s")

    row["add one + commit ms"] = _median_ms(add, 10)
    return row


def measure_fts5(pages: Pages, queries: list[str], folder: Path) -> dict[str, float]:
    """SQLite's full-text index."""
    path = folder / "fts.sqlite3"
    base = sqlite3.connect(path)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("CREATE VIRTUAL TABLE page USING fts5(url UNINDEXED, title, text, tokenize='porter unicode61')")
    base.execute("CREATE TABLE place(url TEXT PRIMARY KEY, page INTEGER)")
    started = time.perf_counter()
    with base:
        for record in pages:
            row_id = base.execute(
                "INSERT INTO page VALUES (?, ?, ?)", (record.url, record.title, record.text)
            ).lastrowid
            base.execute("INSERT INTO place VALUES (?, ?)", (record.url, row_id))
    row = {"build pages/s": pages.count / (time.perf_counter() - started)}
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    row["disk MB"] = megabytes(folder)
    connections: dict[int, sqlite3.Connection] = {}

    def search(query: str) -> object:
        held = connections.setdefault(threading.get_ident(), sqlite3.connect(path, check_same_thread=False))
        asked = " OR ".join(f'"{word}"' for word in query.split())
        return held.execute(
            "SELECT url, title, text FROM page WHERE page MATCH ? ORDER BY bm25(page, 0, 2.0, 1.0) LIMIT 10", (asked,)
        ).fetchall()

    search(queries[0])
    row["1 thread p50 ms"], row["1 thread p99 ms"], _ = percentiles(search, queries, 1)
    row["16 threads p50 ms"], row["16 threads p99 ms"], row["16 threads q/s"] = percentiles(search, queries, 16)
    row["page by URL p50 ms"] = _median_ms(
        lambda n: base.execute(
            "SELECT text FROM page WHERE rowid = (SELECT page FROM place WHERE url = ?)",
            (f"https://example.org/{n * 37}",),
        ).fetchone(),
        200,
    )

    def add(number: int) -> None:
        with base:
            base.execute("INSERT INTO page VALUES (?, ?, ?)", (f"new:{number}", "t", "some words"))

    row["add one + commit ms"] = _median_ms(add, 10)
    return row


def measure_bm25s(pages: Pages, queries: list[str], folder: Path) -> dict[str, float]:
    """bm25s in memory; stores no pages, and a change builds it anew."""
    import bm25s  # type: ignore[import-not-found]

    started = time.perf_counter()
    texts = [f"{record.title} {record.text}" for record in pages]
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    row = {"build pages/s": pages.count / (time.perf_counter() - started)}
    index.save(folder)
    row["disk MB"] = megabytes(folder)

    def search(query: str) -> object:
        return index.retrieve(bm25s.tokenize(query, show_progress=False), k=10, show_progress=False)

    search(queries[0])
    row["1 thread p50 ms"], row["1 thread p99 ms"], _ = percentiles(search, queries, 1)
    row["16 threads p50 ms"], row["16 threads p99 ms"], row["16 threads q/s"] = percentiles(search, queries, 16)
    return row


def main() -> None:
    """Measure each in this process, one after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--words", type=int, default=250, help="median words a page")
    parser.add_argument("--queries", type=int, default=400)
    arguments = parser.parse_args()
    pages = Pages(arguments.pages, arguments.words)
    queries = pages.queries(arguments.queries)
    kinds = {"tantivy": measure_tantivy, "SQLite FTS5": measure_fts5}
    if importlib.util.find_spec("bm25s"):
        kinds["bm25s"] = measure_bm25s
    rows: dict[str, dict[str, float]] = {}
    for name, measure in kinds.items():
        with tempfile.TemporaryDirectory() as folder:
            print(f"measuring {name} …", file=sys.stderr)
            rows[name] = measure(pages, queries, Path(folder))
            rows[name]["peak memory so far MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    python = sys.version.split()[0]
    print(f"{arguments.pages:,} pages of {arguments.words} words, {arguments.queries} queries, Python {python}")
    print(f"{'':<24}" + "".join(f"{name:>14}" for name in rows) + "   FTS5 / tantivy")
    for figure in rows["tantivy"]:
        values = [rows[name].get(figure) for name in rows]
        ratio = values[1] / values[0] if values[1] is not None and values[0] else None
        shown = "".join(f"{'–' if value is None else f'{value:,.2f}':>14}" for value in values)
        print(f"{figure:<24}{shown}" + (f"   {ratio:,.2f}" if ratio is not None else ""))


if __name__ == "__main__":
    main()
