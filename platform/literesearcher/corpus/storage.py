"""The index on disk: one reader a process, one writer at a time over all processes, and what a broken one looks like.

One tantivy index holds every corpus of every tenant, pages included, so that a commit is atomic for all of it and a
kill in mid-write leaves the last commit. Readers see another process's commit at their next search.
Refuses to know: where pages come from, how queries read. Above: `corpus.index`, `corpus.library`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import tantivy

from literesearcher.corpus import schema
from literesearcher.corpus.borrowed_view import BorrowedView, may_write
from literesearcher.corpus.boundary import guarded
from literesearcher.corpus.records import CorpusInfo
from literesearcher.corpus.writing import Writing
from literesearcher.errors import BoundaryError

_HEAP_BYTES = 64_000_000
"""Memory of the writer before it flushes a segment; tantivy's least is 15 MB."""
_LOOK_SECONDS = 0.1
_LOOKS = 5
"""How often a view of an index that is being written is tried."""


class Storage:
    """The index under one directory. Threads may read at once; `write` admits one at a time."""

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.directory = directory
        self._read_only = read_only
        self.schema = schema.build()
        self.analyzer = schema.analyzer()
        self._index_dir = directory / "index"
        self._format_file = directory / "format.json"
        self._view: BorrowedView | None = None
        self._index: tantivy.Index | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._lock = threading.Lock()

    def searcher(self) -> tantivy.Searcher | None:
        """A view of the last commit, None where nothing was ever written. `corpus_broken`, `corpus_format`."""
        with self._lock, self.guarded():
            try:
                found = (self._index_dir / "meta.json").stat()
            except FileNotFoundError:
                self._index = None
                if self._index_dir.is_dir() and any(self._index_dir.glob("*.store")):
                    raise ValueError("its meta.json is missing") from None
                return None
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if self._index is None or stamp != self._stamp:
                self._index = self._shown(self._index)
            self._stamp = stamp
            return self._index.searcher()

    def _shown(self, index: tantivy.Index | None) -> tantivy.Index:
        """The index as of its last commit."""
        if not self._read_only and may_write(self._index_dir):
            if index is None:
                return self._open(self._index_dir)
            index.reload()
            return index
        if self._view is None:
            self._view = BorrowedView(self._index_dir)
        for look in range(_LOOKS):
            try:
                self._view.refresh()
                if index is None:
                    return self._open(self._view.directory)
                index.reload()
                return index
            except (OSError, ValueError):
                # The writer may have cleared a file away between its commit and our look.
                if look == _LOOKS - 1:
                    raise
        raise AssertionError("unreachable")

    @contextmanager
    def write(self, *, wait_seconds: float = 60.0, on_wait: Callable[[], None] | None = None) -> Iterator[Writing]:
        """The writer: committed when the block ends well, rolled back when it does not.

        Another writer is waited for; `on_wait` is told once. After `wait_seconds`: `BoundaryError` `corpus_busy`
        (transient). A full disk: `corpus_full`. A missing permission or another failed write: `corpus_unwritable`.
        """
        if self._read_only:
            raise BoundaryError(
                f"this process may not write the corpus in {self.directory} (LITERESEARCHER_CORPUS__READ_ONLY): change "
                "it where its writer runs",
                code="corpus_unwritable",
            )
        with self.guarded():
            self._index_dir.mkdir(parents=True, exist_ok=True)
            index = self._open_or_create()
        writer = self._acquire(index, wait_seconds, on_wait)
        try:
            yield Writing(writer, self._guarded_writing)
            with self._guarded_writing():
                writer.commit()
                self._let_others_read()
        except BaseException:
            with suppress(BoundaryError), self._guarded_writing():
                writer.rollback()
            with suppress(BoundaryError), self._guarded_writing():
                # What was half written takes up the room that is missing.
                writer.garbage_collect_files()
            raise
        finally:
            with suppress(BoundaryError), self._guarded_writing():
                writer.wait_merging_threads()

    def _acquire(
        self, index: tantivy.Index, wait_seconds: float, on_wait: Callable[[], None] | None
    ) -> tantivy.IndexWriter:
        looks = max(1, round(wait_seconds / _LOOK_SECONDS))
        pause = threading.Event()
        for look in range(looks):
            try:
                with self._guarded_writing():
                    return index.writer(heap_size=_HEAP_BYTES, num_threads=1)
            except BoundaryError as error:
                if "LockBusy" not in str(error.__cause__):
                    raise
            if look == 0 and on_wait is not None:
                on_wait()
            pause.wait(_LOOK_SECONDS)
        raise BoundaryError(
            f"another process is writing the corpus in {self.directory} and did not finish within "
            f"{wait_seconds:g} s; try again when it has",
            code="corpus_busy",
            transient=True,
        )

    def _let_others_read(self) -> None:
        """tantivy makes some files for their owner only; readers on the same volume may run as somebody else."""
        mode = self._format_file.stat().st_mode & 0o777
        for name in ("meta.json", ".managed.json"):
            with suppress(FileNotFoundError):
                (self._index_dir / name).chmod(mode)

    def infos(self, scopes: list[str] | None) -> list[CorpusInfo]:
        """The corpora of these scopes, by name; None: of all."""
        searcher = self.searcher()
        if searcher is None:
            return []
        query = self._term("kind", "info")
        if scopes is not None:
            query = self._both(query, tantivy.Query.term_set_query(self.schema, "scope", scopes))
        with self.guarded():
            hits = searcher.search(query, 10_000, count=False).hits
            found = [CorpusInfo(**json.loads(searcher.doc(address).get_first("text") or b"{}")) for _, address in hits]
        return sorted(found, key=lambda info: info.name)

    def count(self, scope: str, corpus: str) -> int:
        """Pages of a corpus, as committed."""
        searcher = self.searcher()
        if searcher is None:
            return 0
        query = self._both(self._term("kind", "page"), self._term("corpus", schema.corpus_key(scope, corpus)))
        with self.guarded():
            return int(searcher.search(query, 1, count=True).count)  # type: ignore[attr-defined]

    def forget(self) -> None:
        """Let the reader go; the next search opens the index anew."""
        with self._lock:
            self._index = None
            self._stamp = None
            if self._view is not None:
                self._view.close()
                self._view = None

    def guarded(self) -> AbstractContextManager[None]:
        """The border to the index on this directory."""
        return guarded(self.directory)

    def _guarded_writing(self) -> AbstractContextManager[None]:
        return guarded(self.directory, writing=True)

    def _term(self, field: str, value: str) -> tantivy.Query:
        return tantivy.Query.term_query(self.schema, field, value, "basic")

    @staticmethod
    def _both(one: tantivy.Query, other: tantivy.Query) -> tantivy.Query:
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, one), (tantivy.Occur.Must, other)])

    def _open(self, directory: Path) -> tantivy.Index:
        self._check_format()
        index = tantivy.Index.open(str(directory))
        schema.register(index)
        index.config_reader("manual")
        index.reload()
        return index

    def _open_or_create(self) -> tantivy.Index:
        if tantivy.Index.exists(str(self._index_dir)):
            return self._open(self._index_dir)
        beside = self._format_file.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps({"schema": schema.SCHEMA}), encoding="utf-8")
        beside.replace(self._format_file)
        index = tantivy.Index(self.schema, path=str(self._index_dir))
        schema.register(index)
        return index

    def _check_format(self) -> None:
        try:
            written = json.loads(self._format_file.read_text(encoding="utf-8"))["schema"]
        except FileNotFoundError:
            raise ValueError("its format.json is missing") from None
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"its format.json is unreadable: {error}") from None
        if written != schema.SCHEMA:
            raise BoundaryError(
                f"the corpus in {self.directory} has format {written}, this program reads format {schema.SCHEMA}: use "
                "the version that wrote it, or `literesearcher corpus remove --all` and add the files again",
                code="corpus_format",
            )
