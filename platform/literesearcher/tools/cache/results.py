"""The cache of results: what is kept or under way is given, what is not is looked up, once, by one of all processes.

Owns: the job's cache modes, refreshes in the background, recordings, what is counted. Refuses to know: what is looked
up and how (`produce`), how bytes are kept (`cache.port`). Above: `tools.search`, `tools.pages.source`,
`tools.pages.kept_reading`, `tools.pages.kept_extraction`. A lookup that raises is not kept; a store that is away costs
reuse and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from literesearcher.errors import BoundaryError
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock
from literesearcher.tools.cache.claim import claimed
from literesearcher.tools.cache.flights import Flight, Flights, Passenger, within
from literesearcher.tools.cache.keys import key_of
from literesearcher.tools.cache.lifetimes import Lifetimes
from literesearcher.tools.cache.lookup import Found, How, Lookup, NotKept, Produce, Produced
from literesearcher.tools.cache.port import KeptStore
from literesearcher.tools.cache.shelf import Kept, Shelf, Shelved
from literesearcher.tools.cache.tenant_view import Sharing, TenantView
from literesearcher.tools.governor import Tally
from literesearcher.tools.port import Ask
from literesearcher.tools.redis_link import RedisAway

T = TypeVar("T")

MAX_REFRESHES = 16
"""Refreshes in the background at once in one process; what is stale beyond them is refreshed by a later call."""


class ResultCache:
    """One a process. `enabled` False turns off every reuse. The store is closed with it."""

    def __init__(
        self,
        store: KeptStore,
        *,
        clock: Clock,
        metrics: ToolMetrics,
        lifetimes: Lifetimes,
        sharing: Sharing = "hidden",
        enabled: bool = True,
    ) -> None:
        self.lifetimes = lifetimes
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._enabled = enabled
        self._shelf = Shelf(store, clock=clock, record_seconds=lifetimes.record_seconds)
        self._view = TenantView(store, sharing=sharing, clock=clock)
        self._flights = Flights(clock)
        self._refreshing = 0

    async def get(
        self, lookup: Lookup[T], *, ask: Ask, tally: Tally, produce: Produce[T], newer_than: float | None = None
    ) -> Found[T]:
        """The value, come by as the job's cache mode wants it. Raises `NotKept`, else what `produce` raises.

        What the lookup spent goes to `tally` of the call that caused it; what is reused costs nothing unless it has to
        read as fetched. `newer_than`: an entry fetched then or before is of no use (its body is gone).
        """
        if not self._enabled or ask.cache == "bypass":
            if self._enabled:
                self._count(lookup, "bypass")
            found = _fresh((await produce(tally)).value, None, self._shelf.now())
            return replace(found, recorded=False) if ask.cache == "record" else found
        passenger = self._passenger(lookup, ask, tally)
        if ask.cache == "only":
            return await self._kept_only(lookup, ask, passenger)
        if ask.cache == "record":
            return await self._recorded(lookup, ask, passenger, produce)
        key = self._key(lookup, ask)
        away = False
        try:
            kept = await self._shelf.read(key, lookup, newer_than=newer_than)
        except RedisAway:
            away, kept = True, None
        if kept is None or kept.age == "dead":
            return await self._joined(lookup, key, passenger, produce, newer_than, away)
        how: How = "hit" if kept.age == "fresh" else "stale"
        self._count(lookup, how)
        if how == "stale":
            self._refresh(lookup, key, ask, produce)
        return await self._seen(lookup, kept, how, key, passenger)

    async def peek(self, lookup: Lookup[T], *, ask: Ask, tally: Tally) -> Found[T] | None:
        """What is kept and fresh (of any age for a job that reads from the cache only), None where it has to be made.

        For results that are made of smaller ones on which others may be waiting; a miss is not counted.
        """
        if not self._enabled or ask.cache in ("bypass", "record"):
            return None
        passenger = self._passenger(lookup, ask, tally)
        key = self._key(lookup, ask)
        try:
            if ask.cache == "only":
                return await self._any_age(lookup, ask, passenger)
            kept = await self._shelf.read(key, lookup)
        except RedisAway:
            return None
        if kept is None or kept.age != "fresh":
            return None
        self._count(lookup, "hit")
        return await self._seen(lookup, kept, "hit", key, passenger)

    async def keep(self, lookup: Lookup[T], produced: Produced[T], *, ask: Ask) -> bool | None:
        """Keep what was made after `peek` gave nothing, as the job's cache mode wants it; as `Found.recorded`."""
        records = ask.cache == "record"
        if not self._enabled or ask.cache not in ("default", "record"):
            return False if records else None
        key = self._key(lookup, ask)
        recording = _recording(lookup, ask) if records else None
        kept = await self._shelf.keep(lookup, produced, key=key, recording=recording, payer=ask.tenant_id)
        await self._had(lookup, kept, key, ask.tenant_id)
        if records and not kept.recorded:
            self._metrics.cache_errors.labels("record").inc()
        return kept.recorded if records else None

    async def body(self, found: Found[Any], digest: str) -> str | None:
        """The text kept apart from a found value, None where it is gone, or not the one, or out of reach."""
        return await self._shelf.body(found, digest)

    async def _joined(
        self,
        lookup: Lookup[T],
        key: str,
        passenger: Passenger,
        produce: Produce[T],
        newer_than: float | None,
        away: bool,
    ) -> Found[T]:
        """Looked up by this call or by another that is at it, here or in another process."""

        async def run(flight: Flight) -> Shelved[T]:
            if away:
                return await self._fetched(lookup, produce, flight, key)
            return await self._claimed(lookup, key, produce, flight, newer_than)

        landed, part = await self._flights.join(key, passenger, run)
        made = landed.kept is not None and part.leads
        self._count(lookup, "coalesced" if not made else "unavailable" if away else "miss")
        if landed.kept is None:
            return await self._seen(lookup, landed, "coalesced", key, passenger, first=part.first)
        if part.first:
            await self._had(lookup, landed.kept, key, passenger.tenant_id)
        return _fresh(landed.value, "miss" if part.first else "coalesced", landed.entry.fetched_at)

    async def _claimed(
        self,
        lookup: Lookup[T],
        key: str,
        produce: Produce[T],
        flight: Flight,
        newer_than: float | None = None,
        *,
        waits: bool = True,
    ) -> Shelved[T]:
        async def look() -> Shelved[T] | None:
            kept = await self._shelf.read(key, lookup, newer_than=newer_than)
            return kept if kept is not None and kept.age == "fresh" else None

        async with claimed(self._store, key, look=look, clock=self._clock, waits=waits) as claim:
            if claim.found is not None:
                return claim.found
            if not claim.ours:
                raise BoundaryError("another process refreshes it", code="refreshed_elsewhere")
            return await self._fetched(lookup, produce, flight, key)

    async def _fetched(
        self, lookup: Lookup[T], produce: Produce[T], flight: Flight, key: str, recording: str | None = None
    ) -> Shelved[T]:
        """Looked up anew and kept; its age is `dead`, since it does not come from the store."""
        produced = await produce(flight.tally)
        kept = await self._shelf.keep(
            lookup, produced, key=key, recording=recording, payer=flight.payer, tries=flight.tally.tries
        )
        return Shelved(produced.value, kept.entry, "dead", kept)

    async def _recorded(self, lookup: Lookup[T], ask: Ask, passenger: Passenger, produce: Produce[T]) -> Found[T]:
        """Fetched anew; only calls of the same tenant that record too share it."""
        recording, key = _recording(lookup, ask), self._key(lookup, ask)

        async def run(flight: Flight) -> Shelved[T]:
            return await self._fetched(lookup, produce, flight, key, recording)

        landed, part = await self._flights.join(recording, passenger, run)
        how: How = "miss" if part.leads else "coalesced"
        self._count(lookup, how)
        if part.leads:
            await self._had(lookup, landed.kept, key, passenger.tenant_id)
        recorded = landed.kept is not None and landed.kept.recorded
        if not recorded:
            self._metrics.cache_errors.labels("record").inc()
        return replace(_fresh(landed.value, how, landed.entry.fetched_at), recorded=recorded)

    async def _kept_only(self, lookup: Lookup[T], ask: Ask, passenger: Passenger) -> Found[T]:
        try:
            found = await self._any_age(lookup, ask, passenger)
        except RedisAway:
            self._count(lookup, "unavailable")
            raise NotKept("the cache cannot be reached", code="cache_unavailable") from None
        if found is None:
            self._count(lookup, "miss")
            raise NotKept("nothing is kept for it")
        return found

    async def _any_age(self, lookup: Lookup[T], ask: Ask, passenger: Passenger) -> Found[T] | None:
        """The tenant's recording, else what is kept and the tenant may know of."""
        recording, key = _recording(lookup, ask), self._key(lookup, ask)
        kept = await self._shelf.read(recording, lookup)
        if kept is not None:
            self._count(lookup, "hit")
            return Found(kept.value, "hit", kept.entry.fetched_at, recording, kept.entry.fetched_at)
        kept = await self._shelf.read(key, lookup)
        if kept is None:
            return None
        how: How = "hit" if kept.age == "fresh" else "stale"
        seen = await self._view.kept(kept.entry, how, key=key, tenant_id=passenger.tenant_id, lifetime=lookup.lifetime)
        if seen is None:
            return None
        self._count(lookup, how)
        return Found(kept.value, seen.how, seen.at, key, kept.entry.fetched_at)

    def _refresh(self, lookup: Lookup[T], key: str, ask: Ask, produce: Produce[T]) -> None:
        """Looked up anew in the background, once: not where it is under way here or elsewhere."""
        name = f"refresh {key}"  # a flight of its own: who finds the entry dead meanwhile waits on the claim instead
        if self._refreshing >= MAX_REFRESHES or self._flights.under_way(name):
            return
        self._refreshing += 1

        async def run(flight: Flight) -> Shelved[T]:
            landed = await self._claimed(lookup, key, produce, flight, waits=False)
            await self._had(lookup, landed.kept, key, ask.tenant_id)
            return landed

        self._flights.begin_in_background(name, ask.tenant_id, run, self._refreshed)

    def _refreshed(self) -> None:
        self._refreshing -= 1

    async def _seen(
        self, lookup: Lookup[T], shelved: Shelved[T], how: How, key: str, passenger: Passenger, *, first: bool = True
    ) -> Found[T]:
        """As the tenant sees what was read from the store; where it is not the `first` of its tenant to be told, as it
        was come by."""
        value, entry = shelved.value, shelved.entry
        if not first:
            return Found(value, how, entry.fetched_at, key, entry.fetched_at)
        seen = await self._view.of(entry, how, key=key, tenant_id=passenger.tenant_id, lifetime=lookup.lifetime)
        passenger.tally.tries.extend(within(seen.tries, self._clock.monotonic() - passenger.began))
        return Found(value, seen.how, seen.at, key, entry.fetched_at)

    async def _had(self, lookup: Lookup[Any], kept: Kept | None, key: str, tenant_id: str) -> None:
        """The tenant was given what is kept for all as one fetched for it."""
        if kept is not None and kept.shared and not lookup.of_tenant:
            await self._view.had(kept.entry, key=key, tenant_id=tenant_id, lifetime=lookup.lifetime)

    def _passenger(self, lookup: Lookup[Any], ask: Ask, tally: Tally) -> Passenger:
        account = "" if lookup.of_tenant else self._view.account(ask.tenant_id)
        return Passenger(ask.tenant_id, tally, self._clock.monotonic(), account)

    def _key(self, lookup: Lookup[Any], ask: Ask) -> str:
        own = lookup.of_tenant or self._view.sharing == "off"
        return key_of("tenant", ask.tenant_id, lookup.key) if own else key_of("all", lookup.key)

    def _count(self, lookup: Lookup[Any], result: str) -> None:
        self._metrics.cache.labels(lookup.kind, result).inc()

    async def aclose(self) -> None:
        """Cancel what is under way, refreshes included. Safe to call twice."""
        await self._flights.aclose()
        await self._store.aclose()


def _fresh(value: T, how: How | None, at: float) -> Found[T]:
    return Found(value, how, at, "", at)


def _recording(lookup: Lookup[Any], ask: Ask) -> str:
    """A tenant's own, out of the way of ordinary results: neither another's call nor a refresh replaces it."""
    return key_of("recording", ask.tenant_id, lookup.key)
