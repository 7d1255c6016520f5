"""What a tenant is told of a result that is shared: its verdict, its age, its price.

Owns: the rule that nobody learns what another tenant asked. Refuses to know: how results are found. Above:
`cache.results`. With `hidden`, what another paid for reads as fetched, price included; a mark in the store remembers
that this tenant has had it, so that the next call reads as it would had the tenant fetched it then.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import Literal

from literesearcher.research.events import ToolTry
from literesearcher.timing.clock import Clock
from literesearcher.tools.cache.entry import Entry, paid_by
from literesearcher.tools.cache.keys import key_of
from literesearcher.tools.cache.lifetimes import Lifetime
from literesearcher.tools.cache.lookup import How
from literesearcher.tools.cache.port import KeptStore
from literesearcher.tools.redis_link import RedisAway

Sharing = Literal["hidden", "shown", "off"]


@dataclass(frozen=True, slots=True)
class Seen:
    """As the tenant sees it. `tries`: what it is charged for although it was not asked again."""

    how: How
    at: float
    tries: list[ToolTry] = field(default_factory=list)


class TenantView:
    """One a process."""

    def __init__(self, store: KeptStore, *, sharing: Sharing, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.sharing = sharing

    async def of(self, entry: Entry, how: How, *, key: str, tenant_id: str, lifetime: Lifetime) -> Seen:
        """What `tenant_id` is told of an entry that was come by in this way."""
        if self.sharing != "hidden" or paid_by(entry, tenant_id):
            return Seen(how, entry.fetched_at)
        now = self._clock.now().timestamp()
        mark = await self._mark(key, tenant_id)
        age = "dead" if mark is None else lifetime.age(now - mark, negative=entry.negative)
        if mark is None or age == "dead":
            await self._leave(key, tenant_id, now, lifetime.longest(negative=entry.negative))
            return Seen("miss", now, list(entry.tries))
        if age == "stale":
            await self._leave(key, tenant_id, now, lifetime.longest(negative=entry.negative))
            return Seen("stale", mark)
        return Seen("hit", mark)

    async def may_know(self, entry: Entry, *, key: str, tenant_id: str) -> bool:
        """True where the tenant knows already that this is kept, or may know."""
        if self.sharing != "hidden" or paid_by(entry, tenant_id):
            return True
        return await self._mark(key, tenant_id) is not None

    async def _mark(self, key: str, tenant_id: str) -> float | None:
        try:
            found = await self._store.get(key_of("mark", key, tenant_id))
            mark = float(found) if found is not None else math.nan
        except (RedisAway, ValueError):
            return None
        return mark if math.isfinite(mark) else None

    async def _leave(self, key: str, tenant_id: str, now: float, seconds: float) -> None:
        with contextlib.suppress(RedisAway):
            await self._store.put(key_of("mark", key, tenant_id), repr(now).encode(), seconds=max(1.0, seconds))
