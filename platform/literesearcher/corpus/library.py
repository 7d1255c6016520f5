"""Library: the corpora under one directory, as a person keeps them: add, list, remove, and the built-in one.

Owns: names and tenants of corpora, what replaces what. All calls block (seconds to minutes): a caller in an event
loop uses a thread. Refuses to know: queries (`corpus.index`), the terminal (progress is a callback).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from literesearcher.corpus import ingestion
from literesearcher.corpus.pydoc import build as pydoc_build
from literesearcher.corpus.records import PUBLIC, PYDOC, AddReport, BuildReport, CorpusInfo, Listed
from literesearcher.corpus.schema import scope_of, scopes_of
from literesearcher.corpus.storage import Storage
from literesearcher.corpus.writing import Writing
from literesearcher.errors import BoundaryError, CallerError, NotFound
from literesearcher.reading.unicode_text import valid_unicode

Progress = Callable[[str, int, int], None]
"""(what is being done, how many are done, of how many; 0 where that is not known)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_REPORT_EVERY = 200
_LISTED = "manifest "
"""How the version of a corpus begins that a manifest put in; the digest of its files and its tenant follow."""


def _silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


class Library:
    """Errors of every method: `corpus_broken`, `corpus_format`; of writing ones also `corpus_busy`, `corpus_full`,
    `corpus_unwritable` (`BoundaryError`) and `CallerError` on a bad name or path."""

    def __init__(
        self,
        directory: Path,
        *,
        wait_seconds: float = 60.0,
        now: Callable[[], datetime] | None = None,
        read_only: bool = False,
    ) -> None:
        self.directory = Path(directory)
        self._storage = Storage(self.directory, read_only=read_only)
        self._wait_seconds = wait_seconds
        self._now = now or (lambda: datetime.now(UTC))

    def ensure_pydoc(self, progress: Progress | None = None) -> bool:
        """Build the built-in corpus where it is missing or of another Python or builder; True where it was built.

        A process that comes while another one builds waits for it and finds it done.
        """
        tell = progress or _silent
        version = pydoc_build.version()
        if self._pydoc_version() == version:
            return False
        with self._storage.write(
            wait_seconds=self._wait_seconds, on_wait=lambda: tell("waiting for another process that writes", 0, 0)
        ) as writing:
            if self._pydoc_version() == version:
                return False
            tell("reading the Python documentation", 0, 0)
            writing.remove_corpus(scope=PUBLIC, corpus=PYDOC)
            count = 0
            for record, done, total in pydoc_build.records():
                writing.add(record, scope=PUBLIC, corpus=PYDOC, source=PYDOC)
                count += 1
                if count % _REPORT_EVERY == 0:
                    tell("reading the Python documentation", done, total)
            writing.put_info(
                CorpusInfo(PYDOC, count, ["this Python's standard library"], self._stamp(), version), scope=PUBLIC
            )
        tell("reading the Python documentation", 1, 1)
        return True

    def add(
        self, path: Path, name: str | None = None, *, tenant_id: str | None = None, progress: Progress | None = None
    ) -> AddReport:
        """Put a file or folder in, under `name` (default: from the path), for the tenant, or for every one (`*`).

        Adding the same path again replaces it.

        Nothing is seen of it before all of it is in. Raises `CallerError` where no page was found at all.
        """
        path, tell = Path(path), progress or _silent
        name = checked_name(name if name is not None else default_name(path))
        scope = scope_of(tenant_id)
        with self._writing(tell) as writing:
            report = self._put(writing, path, name, scope, tell)
            old = next((info for info in self._storage.infos([scope]) if info.name == name), CorpusInfo(name))
            shown = valid_unicode(str(path.resolve()))
            info = CorpusInfo(name, 0, list(dict.fromkeys([*old.sources, shown])), self._stamp())
            writing.put_info(info, scope=scope)
        report.total_pages = self._storage.count(scope, name)
        return report

    def keep_listed(self, wanted: Sequence[Listed], progress: Progress | None = None) -> BuildReport:
        """Make the corpora that manifests put in be these, in one commit; those added by hand are let be.

        `CallerError` where an entry holds no page, or has the name of one that was added by hand: nothing is changed.
        """
        tell, done = progress or _silent, BuildReport()
        versions = {(entry.tenant, entry.name): f"{_LISTED}{entry.digest} {entry.tenant}" for entry in wanted}
        with self._writing(tell) as writing:
            there = [info for info in self._storage.infos(None) if info.version.startswith(_LISTED)]
            for info in there:
                tenant = info.version.removeprefix(_LISTED).partition(" ")[2]
                if (tenant, info.name) not in versions:
                    writing.remove_corpus(scope=scope_of(tenant), corpus=info.name)
                    done.removed.append(info.name)
            for index, entry in enumerate(wanted):
                scope, version = scope_of(entry.tenant), versions[entry.tenant, entry.name]
                old = next((info for info in self._storage.infos([scope]) if info.name == entry.name), None)
                if old is not None and old.version == version:
                    done.kept.append(entry.name)
                    continue
                if old is not None and not old.version.startswith(_LISTED):
                    raise CallerError(
                        f"a corpus named {entry.name} was added by hand: remove it with `literesearcher corpus remove "
                        f"{entry.name}` or give the entry another name",
                        field=f"corpora.{index}.name",
                    )
                writing.remove_corpus(scope=scope, corpus=entry.name)
                report = self._put(writing, entry.path, entry.name, scope, tell)
                report.total_pages = report.pages
                done.built.append(report)
                shown = valid_unicode(str(entry.path.resolve()))
                writing.put_info(CorpusInfo(entry.name, 0, [shown], self._stamp(), version), scope=scope)
        return done

    @contextmanager
    def _writing(self, tell: Progress) -> Iterator[Writing]:
        with self._storage.write(
            wait_seconds=self._wait_seconds, on_wait=lambda: tell("waiting for another process that writes", 0, 0)
        ) as writing:
            yield writing

    def _put(self, writing: Writing, path: Path, name: str, scope: str, tell: Progress) -> AddReport:
        report = AddReport(name=name)
        source = sha256("\0".join((scope, name, str(path.resolve()))).encode("utf-8", "surrogateescape")).hexdigest()
        writing.remove_source(source)
        for record in ingestion.pages(path, name, report):
            writing.add(record, scope=scope, corpus=name, source=source)
            report.pages += 1
            report.characters += len(record.text)
            if report.pages % _REPORT_EVERY == 0:
                tell("adding pages", report.pages, 0)
        if not report.pages:
            raise _nothing(path, report)
        return report

    def names(self, *, tenant_id: str | None = None) -> list[CorpusInfo]:
        """The tenant's corpora and the public ones, by name, with the pages that each holds now."""
        found = []
        for scope in dict.fromkeys(scopes_of(tenant_id)):
            for info in self._storage.infos([scope]):
                pages = self._storage.count(scope, info.name)
                found.append(replace(info, pages=pages, public=scope == PUBLIC))
        return sorted(found, key=lambda info: (info.name, info.public))

    def remove(self, name: str, *, tenant_id: str | None = None) -> int:
        """Take a corpus out; how many pages went. `NotFound` where the tenant has none of that name."""
        name, scope = checked_name(name), scope_of(tenant_id)
        if not any(info.name == name for info in self._storage.infos([scope])):
            raise NotFound(f"there is no corpus named {name}", field="name")
        pages = self._storage.count(scope, name)
        with self._storage.write(wait_seconds=self._wait_seconds) as writing:
            writing.remove_corpus(scope=scope, corpus=name)
        return pages

    def remove_all(self) -> None:
        """Take everything out, of all tenants, a broken index too: the way out of `corpus_broken`."""
        try:
            # A sound index is not pulled from under its writer; a broken one has no writer to wait for.
            with self._storage.write(wait_seconds=self._wait_seconds):
                pass
        except BoundaryError as error:
            if error.code == "corpus_busy":
                raise
        self._storage.forget()
        for entry in (self.directory / "index", self.directory / "format.json"):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)

    def _pydoc_version(self) -> str | None:
        return next((info.version for info in self._storage.infos([PUBLIC]) if info.name == PYDOC), None)

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="seconds")


def default_name(path: Path) -> str:
    """A corpus name made from a path's last part: `Meeting Notes/` is `meeting-notes`."""
    stem = Path(path).resolve().name.lower()
    for suffix in (".gz", ".zst", ".jsonl", ".ndjson", ".json", ".md", ".html", ".txt", ".pdf"):
        stem = stem.removesuffix(suffix)
    name = re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")[:64]
    return name if name and name != PYDOC else "files"


def checked_name(name: str) -> str:
    """The name, or a `CallerError` that says what one is."""
    if not _NAME.fullmatch(name):
        raise CallerError(
            "a corpus name is 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit", field="name"
        )
    if name == PYDOC:
        raise CallerError(f"{PYDOC} is the built-in corpus, which is built and kept up by itself", field="name")
    return name


def _nothing(path: Path, report: AddReport) -> CallerError:
    reasons = [f"{entry.path}: {entry.reason}" for entry in report.skipped[:3]]
    reasons += [f"{entry.path} line {entry.line}: {entry.reason}" for entry in report.broken[:3]]
    told = f" ({'; '.join(reasons)})" if reasons else ""
    message = f"no page was found in {valid_unicode(str(path))}{told}; nothing was changed"
    return CallerError(message, field="path", code="path_empty")
