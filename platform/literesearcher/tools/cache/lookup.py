"""The words of the cache: what is looked up, what a lookup gives, how a result was come by.

Owns: plain values. Refuses to know: stores, time. Above: `cache.results` and everything that uses it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from literesearcher.errors import BoundaryError
from literesearcher.tools.cache.entry import Entry, Status
from literesearcher.tools.cache.lifetimes import Lifetime
from literesearcher.tools.governor import Tally

T = TypeVar("T")

Kind = Literal["search", "page", "extraction"]
How = Literal["hit", "miss", "stale", "coalesced"]
_DEAREST_FIRST = ("miss", "coalesced", "stale", "hit")


class NotKept(BoundaryError):
    """The job reads from the cache only, and there is nothing (`not_kept`) or no cache (`cache_unavailable`)."""

    default_code = "not_kept"


@dataclass(frozen=True, slots=True)
class Produced(Generic[T]):
    """A result as looked up.

    `keep`: `shared` with later calls; only `recorded` for a job that records, because it is true now and for this job
    (a private corpus, a poor page); or `never`, because it says nothing of the world (a failure).
    """

    value: T
    provider: str = ""
    status: Status = "found"
    digest: str = ""
    keep: Literal["shared", "recorded", "never"] = "shared"
    body: str | None = None
    """A text kept apart, under `digest`; see `ResultCache.body`."""


Produce = Callable[[Tally], Awaitable[Produced[T]]]
"""Looks up anew; what it spends goes to the tally."""


@dataclass(frozen=True, slots=True)
class Lookup(Generic[T]):
    """What is looked up, and how its value is written as JSON and read again (raising where it is not one)."""

    kind: Kind
    key: str
    lifetime: Lifetime
    encode: Callable[[T], Any]
    decode: Callable[[Entry], T]
    of_tenant: bool = False
    """Its results belong to the tenant and are shared with no other."""


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A value and how the tenant came by it; `cache` is None where nothing was looked up. `at`: unix seconds."""

    value: T
    cache: How | None
    at: float
    entry_key: str = ""
    """Under which the store holds it, "" where it was not read from there."""
    entry_at: float = 0.0
    """When the entry was fetched, whatever the tenant is told."""
    recorded: bool | None = None
    """Of a job that records: whether it is kept as the tenant's recording."""


def dearest(*verdicts: How | None) -> How | None:
    """Of several parts of one result: the verdict of the part that cost most; None where nothing was looked up."""
    known = [verdict for verdict in verdicts if verdict is not None]
    return min(known, key=_DEAREST_FIRST.index, default=None)
