"""Values of the local environment: a page to be indexed, a corpus as listed, and what an ingestion did.

Refuses to know: files, the index. Neighbours: `corpus.library` hands them to the CLI, `corpus.storage` stores them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PUBLIC = "*"
"""The scope that every tenant reads: the built-in corpus, and what was added for everybody."""
PYDOC = "pydoc"
"""Name of the built-in corpus."""

URL_CHARS = 2_000
TITLE_CHARS = 500
TEXT_CHARS = 4_000_000
"""Longest URL, title and page that are stored; a longer text or title is cut, a longer URL refused."""


@dataclass(frozen=True, slots=True)
class Record:
    """A page: Markdown by URL. `indexed`: what search reads of it where that is less than the whole text."""

    url: str
    title: str
    text: str
    indexed: str | None = None


@dataclass(frozen=True, slots=True)
class CorpusInfo:
    """A corpus as listed. `added_at`: ISO 8601, UTC. `version`: what it was built from, for the built-in one and those
    of a manifest. `public`: every tenant reads it."""

    name: str
    pages: int = 0
    sources: list[str] = field(default_factory=list)
    added_at: str = ""
    version: str = ""
    public: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return asdict(self)

    def stored(self) -> dict[str, Any]:
        """What the index holds of it; whom it belongs to is said by where it lies."""
        return {name: value for name, value in asdict(self).items() if name != "public"}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that held no usable record. `line` is 1-based."""

    path: str
    line: int
    reason: str


@dataclass(slots=True)
class AddReport:
    """What `add` did. Of broken lines all are counted and the first ten named; skipped files are all named."""

    name: str
    pages: int = 0
    """Pages that went in."""
    total_pages: int = 0
    """Pages that the corpus holds now."""
    characters: int = 0
    cut: int = 0
    """Pages that were longer than a page may be, and were cut."""
    broken_lines: int = 0
    broken: list[BrokenLine] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    partial: list[Skipped] = field(default_factory=list)
    """Files of which only the beginning could be read; their pages are in."""

    def break_line(self, path: str, line: int, reason: str) -> None:
        """Count a broken line; name it where it is among the first ten."""
        self.broken_lines += 1
        if len(self.broken) < 10:
            self.broken.append(BrokenLine(path, line, reason))


@dataclass(frozen=True, slots=True)
class Listed:
    """A corpus as a manifest lists it. `digest`: SHA-256 hex over the names and contents of its files."""

    name: str
    path: Path
    tenant: str
    digest: str


@dataclass(slots=True)
class BuildReport:
    """What a manifest changed: reports of corpora that were read, names of those that were as it says already, and of
    those that it does not list any more."""

    built: list[AddReport] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
