"""The port to the local environment: search over pages and a page by its URL.

Refuses to know: the model's text formats, providers, jobs. Above: `tools` (its `local` provider), the CLI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result, best first. `snippet` is plain text of at most 300 characters."""

    url: str
    title: str
    snippet: str
    score: float


@dataclass(frozen=True, slots=True)
class Page:
    """A stored page: Markdown text by URL (`pydoc:heapq.merge`, `corpus:notes/a.md`, or the record's own URL)."""

    url: str
    title: str
    text: str


class Corpus(Protocol):
    """Search and look-up. A URL is a key, never opened or imported. `BoundaryError` `corpus_*` on a broken index."""

    async def search(self, query: str, *, limit: int = 10, tenant_id: str | None = None) -> list[Hit]:
        """Best pages for the query; [] when nothing matches."""
        ...

    async def page(self, url: str, *, tenant_id: str | None = None) -> Page | None:
        """The page stored under `url`, None when there is none."""
        ...

    async def aclose(self) -> None:
        """Close readers. Safe to call twice."""
        ...
