"""What a tenant is told of a result that is shared: its verdict, its age, its price.

Owns: the rule that nobody learns what another tenant asked. Refuses to know: how results are found. Above:
`cache.results`. With `hidden`, what another paid for reads as fetched, price included. A mark in the store remembers
when each tenant had it, also the one that paid, so that what others do to the entry meanwhile (record it, refresh it)
changes nothing of what this tenant is told: its next call reads as it would had it been alone.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from literesearcher.research.events import ToolTry
from literesearcher.timing.clock import Clock
from literesearcher.tools.cache.entry import Entry, instant, paid_by
from literesearcher.tools.cache.keys import key_of
from literesearcher.tools.cache.lifetimes import Lifetime
from literesearcher.tools.cache.lookup import How
from literesearcher.tools.cache.port import KeptStore
from literesearcher.tools.redis_link import RedisAway

Sharing = Literal["hidden", "shown", "off"]
_LONGEST_MARK = 40
"""Bytes; what is longer was not written here."""


@dataclass(frozen=True, slots=True)
class Seen:
    """As the tenant sees it. `tries`: what it is charged for although it was not asked again."""

    how: How
    at: float
    tries: list[ToolTry] = field(default_factory=list)


class _Mark(NamedTuple):
    """When the tenant had it (unix seconds), and whether nothing was found then."""

    at: float
    negative: bool


class TenantView:
    """One a process."""

    def __init__(self, store: KeptStore, *, sharing: Sharing, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.sharing = sharing

    def account(self, tenant_id: str) -> str:
        """Whose lookups under way settle together; see `cache.flights`."""
        return f"tenant {tenant_id}" if self.sharing == "hidden" else ""

    async def of(self, entry: Entry, how: How, *, key: str, tenant_id: str, lifetime: Lifetime) -> Seen:
        """What `tenant_id` is told of an entry that was come by in this way."""
        if self.sharing != "hidden":
            return Seen(how, entry.fetched_at)
        now = self._clock.now().timestamp()
        if paid_by(entry, tenant_id):
            if how == "stale":
                await self._leave(key, tenant_id, _Mark(now, entry.negative), lifetime)
            return Seen(how, entry.fetched_at)
        mark = await self._mark(key, tenant_id)
        if how == "coalesced":
            # It was fetched while this call waited; another call of this tenant may have waited elsewhere.
            if mark is not None and mark.at >= entry.fetched_at:
                return Seen("coalesced", mark.at)
            await self.had(entry, key=key, tenant_id=tenant_id, lifetime=lifetime)
            return Seen("miss", entry.fetched_at, list(entry.tries))
        age = "dead" if mark is None else lifetime.age(now - mark.at, negative=mark.negative)
        if mark is None or age == "dead":
            await self._leave(key, tenant_id, _Mark(now, entry.negative), lifetime)
            return Seen("miss", now, list(entry.tries))
        if age == "stale":
            await self._leave(key, tenant_id, _Mark(now, entry.negative), lifetime)
            return Seen("stale", mark.at)
        return Seen("hit", mark.at)

    async def kept(self, entry: Entry, how: How, *, key: str, tenant_id: str, lifetime: Lifetime) -> Seen | None:
        """What a tenant is told that reads the cache only; None where it may not know that this is kept."""
        if self.sharing != "hidden" or paid_by(entry, tenant_id):
            return Seen(how, entry.fetched_at)
        mark = await self._mark(key, tenant_id)
        if mark is None:
            return None
        age = lifetime.age(self._clock.now().timestamp() - mark.at, negative=mark.negative)
        return Seen("hit" if age == "fresh" else "stale", mark.at)

    async def had(self, entry: Entry, *, key: str, tenant_id: str, lifetime: Lifetime) -> None:
        """This tenant was given the entry as one fetched for it."""
        if self.sharing == "hidden":
            await self._leave(key, tenant_id, _Mark(entry.fetched_at, entry.negative), lifetime)

    async def _mark(self, key: str, tenant_id: str) -> _Mark | None:
        try:
            found = await self._store.get(key_of("mark", key, tenant_id))
            if found is None or len(found) > _LONGEST_MARK:
                return None
            return _Mark(instant(float(found.rstrip(b"-"))), found.endswith(b"-"))
        except (RedisAway, ValueError, TypeError):
            return None

    async def _leave(self, key: str, tenant_id: str, mark: _Mark, lifetime: Lifetime) -> None:
        text = f"{mark.at!r}{'-' if mark.negative else ''}"
        seconds = max(1.0, lifetime.longest(negative=mark.negative))
        with contextlib.suppress(RedisAway):
            await self._store.put(key_of("mark", key, tenant_id), text.encode(), seconds=seconds)
