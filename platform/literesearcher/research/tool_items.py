"""Where the text of a tool call came from: one item a query or page, one try a request to a provider.

Owns: plain values, part of the `tool.completed` payload. They change by adding fields with defaults. Refuses to know:
who fills them (`tools`), who reads them (citations, usage, the console).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from literesearcher.research.messages import Usage


@dataclass(frozen=True, slots=True)
class ToolTry:
    """One request to one provider."""

    provider: str
    outcome: str
    """`ok`, `empty`, or a failure's code."""
    elapsed_seconds: float = 0.0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolItem:
    """One query or one page of a tool call: where its text came from. Absent facts are None."""

    kind: Literal["search", "page"]
    target: str
    """The query, or the URL as the model gave it."""
    ok: bool
    provider: str | None = None
    title: str | None = None
    status: str | None = None
    """Short outcome code, such as `found`, `none`, `refused`, `too_short`, `unreachable`, `extraction_failed`."""
    results: list[dict[str, str]] | None = None
    """Search: `title`, `url` of each result, in order."""
    digest: str | None = None
    """Page: SHA-256 hex of the whole page text as fetched."""
    extracted: dict[str, str] | None = None
    """Page: `rational`, `evidence`, `summary` as the extractor returned them."""
    text: str = ""
    """This item's part of what the model reads."""
    cache: str | None = None
    """`hit`, `miss`, `stale`, `coalesced`, or None where nothing was looked up. What another tenant's call paid for
    reads as `miss`, unless the operator shows it."""
    fetched_at: float | None = None
    """Unix seconds at which the content was fetched from its provider."""
    elapsed_seconds: float = 0.0
    usage: Usage | None = None
    """Tokens of the extraction call, if any."""
    cost_usd: float = 0.0
    """By the operator's price list."""
    tried: list[ToolTry] = field(default_factory=list)
    """Requests to providers, in order; empty where the cache answered."""
    left_out: dict[str, int] = field(default_factory=dict)
    """What the job's source policy refused, by reason: results of a search, or the page itself."""
    domain: str | None = None
    """Page: the registrable name it was read from, after redirects; what `max_pages_per_domain` counts by."""
    recorded: bool | None = None
    """Of a job that records: False where the result is not kept for later (there is no cache, or it is away); None
    where nothing was to be recorded, such as a failure."""
