"""Entries in a store: read and found sound, or kept with what is kept apart.

Owns: which keys a result is put under and for how long. Refuses to know: modes, flights, tenants' views. Above:
`cache.results`. Below: a `KeptStore`, whose `RedisAway` passes through on reading and is swallowed on writing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from literesearcher.research.events import ToolTry
from literesearcher.timing.clock import Clock
from literesearcher.tools.cache.entry import Entry, opened, opened_text, payer_of, sealed, sealed_text
from literesearcher.tools.cache.keys import key_of
from literesearcher.tools.cache.lifetimes import Age
from literesearcher.tools.cache.lookup import Found, Lookup, Produced
from literesearcher.tools.cache.port import KeptStore
from literesearcher.tools.redis_link import RedisAway

T = TypeVar("T")

_BODY_OUTLIVES_SECONDS = 60.0


class Kept(NamedTuple):
    """What was made of a result, and where it is kept: `shared` with later calls, `recorded` for its tenant."""

    entry: Entry
    shared: bool = False
    recorded: bool = False


class Shelved(NamedTuple, Generic[T]):
    """An entry that can be used."""

    value: T
    entry: Entry
    age: Age
    kept: Kept | None = None
    """Where it was put by who looked it up; None where it was read from the store."""


class Shelf:
    """One a process."""

    def __init__(self, store: KeptStore, *, clock: Clock, record_seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._record_seconds = record_seconds

    async def read(self, key: str, lookup: Lookup[T], *, newer_than: float | None = None) -> Shelved[T] | None:
        """What is kept, of whatever age; None where there is nothing, or nothing sound."""
        data = await self._store.get(key)
        entry = None if data is None else opened(data)
        if entry is None or (newer_than is not None and entry.fetched_at <= newer_than):
            return None
        try:
            value = lookup.decode(entry)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            return None  # of another shape; what is looked up replaces it
        age = lookup.lifetime.age(self.now() - entry.fetched_at, negative=entry.negative)
        return Shelved(value, entry, age)

    async def keep(
        self,
        lookup: Lookup[T],
        produced: Produced[T],
        *,
        key: str,
        recording: str | None = None,
        payer: str,
        tries: Sequence[ToolTry] = (),
    ) -> Kept:
        """The result as an entry fetched now and paid by tenant `payer`, kept as far as it may be."""
        entry = Entry(
            lookup.encode(produced.value),
            produced.provider,
            produced.status,
            self.now(),
            payer_of(payer),
            produced.digest,
            list(tries),
        )
        lives: dict[str, float] = {}
        if recording is not None and produced.keep != "never":
            lives[recording] = self._record_seconds
        longest = lookup.lifetime.longest(negative=entry.negative)
        if produced.keep == "shared" and longest > 0:
            lives[key] = longest
        put: set[str] = set()
        with contextlib.suppress(RedisAway, TypeError):  # TypeError: text that is no Unicode is given and not kept
            data = sealed(entry) if lives else b""
            body = await sealed_text(produced.body) if lives and produced.body is not None else None
            for name, seconds in lives.items():
                if body is not None:
                    # First, and for longer than what names it.
                    body_seconds = seconds + _BODY_OUTLIVES_SECONDS
                    await self._store.put(_body_key(name, entry.digest), body, seconds=body_seconds)
                await self._store.put(name, data, seconds=seconds)
                put.add(name)
        return Kept(entry, shared=key in put, recorded=recording in put)

    async def body(self, found: Found[Any], digest: str) -> str | None:
        """The text kept apart from a found value, None where it is gone, or not the one, or out of reach."""
        try:
            data = await self._store.get(_body_key(found.entry_key, digest))
        except RedisAway:
            return None
        return None if data is None else await opened_text(data, digest)

    def now(self) -> float:
        """Unix seconds."""
        return self._clock.now().timestamp()


def _body_key(key: str, digest: str) -> str:
    return key_of("body", key, digest)
