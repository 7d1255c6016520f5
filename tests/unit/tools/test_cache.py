"""The cache of results: what is kept, for how long, who waits on whom, who pays, and what another tenant is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.research.events import ToolTry
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.cache.lifetimes import Lifetime, Lifetimes
from literesearcher.tools.cache.lookup import Found, Lookup, NotKept, Produced
from literesearcher.tools.cache.memory import MemoryKept
from literesearcher.tools.cache.results import MAX_REFRESHES, ResultCache
from literesearcher.tools.governor import Tally
from literesearcher.tools.port import Ask
from literesearcher.tools.redis_link import RedisAway

LIFE = Lifetime(fresh=60.0, stale=100.0, negative=10.0)
RECORD_SECONDS = 10_000.0
A, B = Ask(tenant_id="a"), Ask(tenant_id="b")


class Source:
    """A lookup that costs a dollar, counts, and waits for its gate."""

    def __init__(self) -> None:
        self.runs = self.cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.error: Exception | None = None
        self.produced: Produced[str] = Produced("", provider="p")

    async def __call__(self, tally: Tally) -> Produced[str]:
        self.runs += 1
        mine = self.runs
        self.entered.set()
        tally.tries.append(ToolTry("p", "ok", 0.5, 1.0))
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        return replace(self.produced, value=f"value {mine}")


def text(entry):
    if not isinstance(entry.value, str):
        raise ValueError("no text")
    return entry.value


def lookup(key="k", *, life=LIFE, of_tenant=False, kind="search") -> Lookup[str]:
    return Lookup(kind, key, life, encode=lambda value: value, decode=text, of_tenant=of_tenant)


class Bench:
    """A cache on a clock that stands still."""

    def __init__(self, *, store=None, sharing="shown", enabled=True, clock=None, max_bytes=64_000_000) -> None:
        self.clock = clock or ManualClock()
        self.store = store or MemoryKept(clock=self.clock, max_bytes=max_bytes)
        self.metrics = ToolMetrics()
        lifetimes = Lifetimes(LIFE, LIFE, LIFE, LIFE, RECORD_SECONDS)
        self.cache = ResultCache(
            self.store, clock=self.clock, metrics=self.metrics, lifetimes=lifetimes, sharing=sharing, enabled=enabled
        )
        self.source = Source()
        self.tally = Tally()

    async def get(self, ask=A, *, source=None, tally=None, newer_than=None, **options) -> Found[str]:
        self.tally = Tally() if tally is None else tally
        return await self.cache.get(
            lookup(**options), ask=ask, tally=self.tally, produce=source or self.source, newer_than=newer_than
        )

    async def seen(self, ask=A, **options):
        """Value, verdict, cost."""
        tally = Tally()
        found = await self.get(ask, tally=tally, **options)
        return found.value, found.cache, tally.cost_usd

    def counted(self, kind="search") -> dict[str, float]:
        results = ("hit", "stale", "miss", "coalesced", "bypass", "unavailable")
        counts = {result: self.metrics.cache.labels(kind, result)._value.get() for result in results}
        return {result: count for result, count in counts.items() if count}


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_value_is_fresh_for_its_lifetime_and_costs_once(bench):
    born = bench.clock.now().timestamp()
    assert await bench.seen() == ("value 1", "miss", 1.0)
    await bench.clock.advance(59)
    found = await bench.get()
    assert (found.value, found.cache, found.at, bench.tally.tries) == ("value 1", "hit", born, [])
    assert bench.counted() == {"miss": 1, "hit": 1}


async def test_a_stale_value_is_given_at_once_and_refreshed_once_behind_it(bench):
    await bench.seen()
    await bench.clock.advance(60)
    bench.source.gate.clear()
    assert [await bench.seen() for _ in range(3)] == [("value 1", "stale", 0)] * 3
    await bench.clock.advance(0)
    assert bench.source.runs == 2
    bench.source.gate.set()
    await bench.clock.advance(0)
    assert await bench.seen() == ("value 2", "hit", 0)
    assert bench.counted() == {"miss": 1, "stale": 3, "hit": 1}


async def test_a_value_past_its_stale_time_is_fetched_anew(bench):
    await bench.seen()
    await bench.clock.advance(160)
    assert await bench.seen() == ("value 2", "miss", 1.0)


async def test_a_refresh_that_fails_leaves_the_stale_value_and_is_not_tried_again_at_once(bench):
    await bench.seen()
    await bench.clock.advance(60)
    bench.source.error = BoundaryError("busy")
    for _ in range(3):
        assert await bench.seen() == ("value 1", "stale", 0)
        await bench.clock.advance(1)
    assert bench.source.runs == 2
    bench.source.error = None
    await bench.clock.advance(15)
    assert await bench.seen() == ("value 1", "stale", 0)
    await bench.clock.advance(0)
    assert await bench.seen() == ("value 3", "hit", 0)


async def test_only_so_many_refreshes_run_at_once_and_closing_ends_them(bench):
    for number in range(MAX_REFRESHES + 5):
        await bench.get(key=str(number))
    await bench.clock.advance(60)
    bench.source.gate.clear()
    for number in range(MAX_REFRESHES + 5):
        assert (await bench.get(key=str(number))).cache == "stale"
    await bench.clock.advance(0)
    assert bench.source.runs == MAX_REFRESHES + 5 + MAX_REFRESHES
    await bench.cache.aclose()
    assert bench.source.cancelled == MAX_REFRESHES


async def test_who_finds_the_entry_dead_while_it_is_refreshed_waits_for_the_refresh(bench):
    await bench.seen()
    await bench.clock.advance(159)
    bench.source.gate.clear()
    assert await bench.seen() == ("value 1", "stale", 0)
    await bench.clock.advance(1)
    late = asyncio.create_task(bench.seen())
    await bench.clock.advance(0)
    bench.source.gate.set()
    assert await late == ("value 2", "coalesced", 0)
    assert bench.source.runs == 2


@pytest.mark.parametrize("status", ["none", "missing"])
async def test_what_was_not_found_is_not_asked_for_again_for_the_negative_time_only(bench, status):
    bench.source.produced = Produced("", status=status)
    await bench.seen()
    await bench.clock.advance(9)
    assert (await bench.get()).cache == "hit"
    await bench.clock.advance(1)
    assert await bench.seen() == ("value 2", "miss", 1.0)


@pytest.mark.parametrize("keep", ["recorded", "never"])
async def test_what_is_not_to_be_shared_is_not_kept(bench, keep):
    bench.source.produced = Produced("", keep=keep)
    assert (await bench.seen())[:2] == ("value 1", "miss")
    assert (await bench.seen())[:2] == ("value 2", "miss")


async def test_a_lifetime_of_nothing_keeps_nothing(bench):
    assert (await bench.seen(life=Lifetime(0.0)))[:2] == ("value 1", "miss")
    assert (await bench.seen(life=Lifetime(0.0)))[:2] == ("value 2", "miss")


async def test_identical_lookups_at_once_run_once_and_one_pays(bench):
    bench.source.gate.clear()
    tasks = [asyncio.create_task(bench.seen()) for _ in range(5)]
    await bench.source.entered.wait()
    bench.source.gate.set()
    assert await asyncio.gather(*tasks) == [("value 1", "miss", 1.0), *[("value 1", "coalesced", 0)] * 4]
    assert bench.source.runs == 1
    assert bench.counted() == {"miss": 1, "coalesced": 4}


async def test_a_cancelled_first_caller_takes_what_was_spent_and_fails_nobody_else(bench):
    bench.source.gate.clear()
    tally = Tally()
    first = asyncio.create_task(bench.get(tally=tally))
    await bench.source.entered.wait()
    second = asyncio.create_task(bench.seen())
    await bench.clock.advance(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert tally.cost_usd == 1.0
    bench.source.gate.set()
    assert await second == ("value 1", "miss", 0), "it was looked up for this one in the end; the dollar was taken"
    assert bench.source.cancelled == 0


async def test_the_last_caller_to_leave_cancels_the_lookup_and_the_next_starts_anew(bench):
    bench.source.gate.clear()
    callers = [asyncio.create_task(bench.seen()) for _ in range(2)]
    await bench.source.entered.wait()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    bench.source.gate.set()
    assert await bench.seen() == ("value 2", "miss", 1.0)
    assert bench.source.cancelled == 1


async def test_failures_reach_every_waiter_are_paid_once_and_not_kept(bench):
    bench.source.error = BoundaryError("down")
    bench.source.gate.clear()
    tallies = [Tally() for _ in range(3)]
    tasks = [asyncio.create_task(bench.get(tally=tally)) for tally in tallies]
    await bench.source.entered.wait()
    bench.source.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, BoundaryError) for result in results)
    assert [len(tally.tries) for tally in tallies] == [1, 0, 0]
    bench.source.error = None
    assert await bench.seen() == ("value 2", "miss", 1.0)


async def test_closing_ends_what_is_under_way_with_an_error_not_a_cancellation(bench):
    bench.source.gate.clear()
    waiting = asyncio.create_task(bench.get())
    await bench.source.entered.wait()
    await bench.cache.aclose()
    await bench.cache.aclose()
    with pytest.raises(BoundaryError) as caught:
        await waiting
    assert caught.value.code == "tools_closed"
    assert bench.source.cancelled == 1


async def test_the_least_recently_used_leaves_when_bytes_run_out():
    bench = Bench(max_bytes=4_000)
    for name in "abcd":
        await bench.get(key=name)
    await bench.get(key="a")
    for name in range(3):
        await bench.store.put(f"filler {name}", bytes(700), seconds=60)
    assert (await bench.get(key="a")).cache == "hit"
    assert (await bench.get(key="b")).cache == "miss"


async def test_one_value_may_not_push_out_all_others():
    clock = ManualClock()
    store = MemoryKept(clock=clock, max_bytes=4_000)
    await store.put("small", b"x", seconds=60)
    await store.put("large", bytes(1_001), seconds=60)
    assert (await store.get("small"), await store.get("large")) == (b"x", None)


async def test_off_turns_off_cache_and_single_flight():
    bench = Bench(enabled=False)
    bench.source.gate.clear()
    tasks = [asyncio.create_task(bench.seen()) for _ in range(3)]
    await bench.source.entered.wait()
    bench.source.gate.set()
    assert [verdict for _, verdict, _ in await asyncio.gather(*tasks)] == [None] * 3
    assert bench.source.runs == 3
    assert bench.counted() == {}


async def test_bypass_neither_reads_nor_writes(bench):
    await bench.seen()
    assert await bench.seen(replace(A, cache="bypass")) == ("value 2", None, 1.0)
    assert await bench.seen() == ("value 1", "hit", 0)
    assert bench.counted()["bypass"] == 1


async def test_only_reads_whatever_is_kept_and_asks_nobody(bench):
    only = replace(A, cache="only")
    with pytest.raises(NotKept) as caught:
        await bench.seen(only)
    assert caught.value.code == "not_kept"
    await bench.seen()
    assert await bench.seen(only) == ("value 1", "hit", 0)
    await bench.clock.advance(100)
    assert await bench.seen(only) == ("value 1", "stale", 0)
    await bench.clock.advance(0)
    assert bench.source.runs == 1, "not even a refresh"


async def test_a_recording_is_fetched_anew_and_outlives_what_others_fetch(bench):
    record, only = replace(A, cache="record"), replace(A, cache="only")
    await bench.seen()
    assert await bench.seen(record) == ("value 2", "miss", 1.0)
    assert await bench.seen() == ("value 2", "hit", 0), "others profit from it"
    await bench.clock.advance(160)
    assert await bench.seen(B) == ("value 3", "miss", 1.0)
    assert await bench.seen(only) == ("value 2", "hit", 0), "the recording is the one that was made"
    await bench.clock.advance(RECORD_SECONDS)
    with pytest.raises(NotKept):
        await bench.seen(only)


async def test_a_recording_holds_what_is_true_for_its_job_only_and_never_a_failure(bench):
    record, only = replace(A, cache="record"), replace(A, cache="only")
    bench.source.produced = Produced("", keep="recorded")
    await bench.seen(record)
    assert await bench.seen(only) == ("value 1", "hit", 0)
    assert (await bench.seen())[1] == "miss"
    with pytest.raises(NotKept):
        await bench.seen(replace(B, cache="only"))
    bench.source.produced = Produced("", keep="never")
    await bench.seen(record, key="other")
    with pytest.raises(NotKept):
        await bench.seen(only, key="other")


async def test_what_belongs_to_a_tenant_is_shared_with_no_other(bench):
    assert (await bench.seen(A, of_tenant=True))[:2] == ("value 1", "miss")
    assert (await bench.seen(B, of_tenant=True))[:2] == ("value 2", "miss")
    assert (await bench.seen(A, of_tenant=True))[:2] == ("value 1", "hit")


async def test_two_tenants_do_not_share_a_flight_of_what_is_theirs(bench):
    bench.source.gate.clear()
    tasks = [asyncio.create_task(bench.seen(ask, of_tenant=True)) for ask in (A, B)]
    await bench.clock.advance(0)
    assert bench.source.runs == 2
    bench.source.gate.set()
    assert {value for value, _, _ in await asyncio.gather(*tasks)} == {"value 1", "value 2"}


async def test_sharing_off_keeps_tenants_apart():
    bench = Bench(sharing="off")
    assert (await bench.seen(A))[:2] == ("value 1", "miss")
    assert (await bench.seen(B))[:2] == ("value 2", "miss")


async def test_sharing_shown_tells_the_truth():
    bench = Bench(sharing="shown")
    await bench.seen(A)
    born = bench.clock.now().timestamp()
    await bench.clock.advance(30)
    found = await bench.get(B)
    assert (found.cache, found.at, bench.tally.tries) == ("hit", born, [])


async def test_sharing_hidden_reads_as_fetched_then_as_the_tenants_own():
    bench = Bench(sharing="hidden")
    await bench.seen(A)
    await bench.clock.advance(30)
    found = await bench.get(B)
    now = bench.clock.now().timestamp()
    assert (found.value, found.cache, found.at) == ("value 1", "miss", now)
    assert bench.tally.tries == [ToolTry("p", "ok", 0.0, 1.0)], "as if fetched in the time of this call, price included"
    await bench.clock.advance(10)
    found = await bench.get(B)
    assert (found.cache, found.at, bench.tally.tries) == ("hit", now, []), "as had B fetched it itself"
    assert await bench.seen(A) == ("value 1", "hit", 0)
    assert bench.source.runs == 1
    assert bench.counted() == {"miss": 1, "hit": 3}, "what is counted is the truth"


async def test_sharing_hidden_does_not_tell_of_a_flight_either():
    bench = Bench(sharing="hidden")
    bench.source.gate.clear()
    tasks = [asyncio.create_task(bench.seen(ask)) for ask in (A, B, A)]
    await bench.source.entered.wait()
    await bench.clock.advance(0)
    bench.source.gate.set()
    assert await asyncio.gather(*tasks) == [
        ("value 1", "miss", 1.0),
        ("value 1", "miss", 1.0),
        ("value 1", "coalesced", 0),
    ]
    assert bench.counted() == {"miss": 1, "coalesced": 2}


async def test_a_reader_of_the_cache_only_cannot_probe_what_others_asked():
    bench = Bench(sharing="hidden")
    await bench.seen(A)
    with pytest.raises(NotKept):
        await bench.seen(replace(B, cache="only"))
    await bench.seen(B)
    assert (await bench.seen(replace(B, cache="only")))[0] == "value 1", "B has had it since"


async def test_no_tenant_stands_in_what_is_kept():
    bench = Bench()
    kept = {}
    put = bench.store.put

    async def spy(key, value, *, seconds):
        kept[key] = value
        await put(key, value, seconds=seconds)

    bench.store.put = spy
    await bench.seen(Ask(tenant_id="tenant-zebra"))
    assert kept
    assert all(b"zebra" not in value and "zebra" not in key for key, value in kept.items())


async def test_an_entry_whose_body_is_gone_is_fetched_anew_even_while_fresh(bench):
    bench.source.produced = Produced("", body="a page " * 500, digest="d")
    first = await bench.get()
    again = await bench.get()
    assert await bench.cache.body(again, "d") is None, "the digest is not the body's"
    found = await bench.get(newer_than=again.entry_at)
    assert (first.value, again.value, found.value, found.cache) == ("value 1", "value 1", "value 2", "miss")


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"\x00" * 40,
        b"LRK\x01p",
        b"LRK\x01p{}",
        b"LRK\x01p[1,2]",
        b"LRK\x01p" + b"[" * 100_000,
        b"LRK\x01znot zstandard",
        b"LRK\x02pfrom a later version",
        b'LRK\x01p{"value":1,"provider":"p","status":"found","fetched_at":NaN,"payer":"","digest":"","tries":[]}',
        b'LRK\x01p{"value":"v","provider":"p","status":"found","fetched_at":1e400,"payer":"","digest":"","tries":[]}',
        b'LRK\x01p{"value":"v","provider":"p","status":"odd","fetched_at":1767323045,"payer":"","digest":"","tries":[]}',
        b'LRK\x01p{"value":"v","provider":7,"status":"found","fetched_at":1767323045,"payer":"","digest":"","tries":[]}',
        b'LRK\x01p{"value":7,"provider":"p","status":"found","fetched_at":1767323045,"payer":"","digest":"","tries":[]}',
        b'LRK\x01p{"value":"v","provider":"p","status":"found","fetched_at":9e9,"payer":"","digest":"","tries":[]}',
    ],
)
async def test_a_poisoned_entry_reads_as_a_miss_and_is_replaced(bench, poison):
    keys = []
    put = bench.store.put

    async def spy(key, value, *, seconds):
        keys.append(key)
        await put(key, value, seconds=seconds)

    bench.store.put = spy
    await bench.seen()
    await put(keys[0], poison, seconds=600)
    assert await bench.seen() == ("value 2", "miss", 1.0)
    assert await bench.seen() == ("value 2", "hit", 0)


async def test_text_that_is_no_unicode_is_given_and_not_kept(bench):
    async def source(tally):
        return Produced("lone \ud800 surrogate")

    assert (await bench.get(source=source)).cache == "miss"
    assert (await bench.get(source=source)).cache == "miss"


class Away:
    """A store that is never there."""

    async def get(self, key):
        raise RedisAway

    put = lock = unlock = wait = lambda self, *args, **options: Away.get(self, "")

    async def aclose(self):
        pass


@pytest.mark.parametrize("sharing", ["hidden", "shown"])
async def test_without_its_store_every_call_goes_on_and_is_counted(sharing):
    bench = Bench(store=Away(), sharing=sharing)
    assert await bench.seen() == ("value 1", "miss", 1.0)
    bench.source.gate.clear()
    tasks = [asyncio.create_task(bench.seen(ask)) for ask in (A, A)]
    await bench.clock.advance(0)
    bench.source.gate.set()
    assert await asyncio.gather(*tasks) == [("value 2", "miss", 1.0), ("value 2", "coalesced", 0)]
    assert bench.counted() == {"unavailable": 2, "coalesced": 1}
    assert await bench.seen(replace(A, cache="record")) == ("value 3", "miss", 1.0)
    with pytest.raises(NotKept) as caught:
        await bench.seen(replace(A, cache="only"))
    assert caught.value.code == "cache_unavailable"


@pytest.mark.parametrize(
    ("options", "recorded", "counted"), [({"store": Away()}, False, 2), ({"enabled": False}, False, 0), ({}, True, 0)]
)
async def test_a_recording_says_whether_it_is_kept(options, recorded, counted):
    bench = Bench(**options)
    record = replace(A, cache="record")
    assert (await bench.get(record)).recorded is recorded
    assert await bench.cache.keep(lookup(), Produced("made"), ask=record) is recorded
    assert bench.metrics.cache_errors.labels("record")._value.get() == counted
    assert (await bench.get()).recorded is None
    assert await bench.cache.keep(lookup(), Produced("made"), ask=A) is None


async def test_two_caches_on_one_store_look_up_once():
    here = Bench()
    there = Bench(store=here.store, clock=here.clock)
    here.source.gate.clear()
    first = asyncio.create_task(here.seen())
    await here.source.entered.wait()
    second = asyncio.create_task(there.seen())
    await here.clock.advance(0)
    here.source.gate.set()
    assert await first == ("value 1", "miss", 1.0)
    assert await asyncio.wait_for(second, 30) == ("value 1", "coalesced", 0)
    assert (here.source.runs, there.source.runs) == (1, 0)
    assert there.counted() == {"coalesced": 1}


async def test_a_dead_holder_frees_its_lookup_and_another_takes_over():
    here = Bench()
    key = []
    lock = here.store.lock

    async def spy(name, token, *, seconds):
        key.append(name)
        return await lock(name, token, seconds=seconds)

    here.store.lock = spy
    await here.get(life=Lifetime(1.0))
    await here.clock.advance(2)
    await lock(key[0], "a process that is dead now", seconds=15.0)
    waiting = asyncio.create_task(here.seen(life=Lifetime(1.0)))
    await here.clock.advance(14)
    assert not waiting.done()
    await here.clock.advance(1)
    assert await asyncio.wait_for(waiting, 30) == ("value 2", "miss", 1.0)


async def test_a_lookup_that_takes_long_keeps_its_lock():
    here = Bench()
    there = Bench(store=here.store, clock=here.clock)
    here.source.gate.clear()
    first = asyncio.create_task(here.seen())
    await here.source.entered.wait()
    second = asyncio.create_task(there.seen())
    for _ in range(20):
        await here.clock.advance(5)
    here.source.gate.set()
    assert (await first)[0] == (await asyncio.wait_for(second, 30))[0] == "value 1"
    assert there.source.runs == 0


async def test_who_waited_on_a_failure_takes_over():
    here = Bench()
    there = Bench(store=here.store, clock=here.clock)
    here.source.gate.clear()
    here.source.error = BoundaryError("down")
    first = asyncio.create_task(here.seen())
    await here.source.entered.wait()
    second = asyncio.create_task(there.seen())
    await here.clock.advance(0)
    here.source.gate.set()
    with pytest.raises(BoundaryError):
        await first
    assert await asyncio.wait_for(second, 30) == ("value 1", "miss", 1.0)


async def test_peeking_neither_makes_nor_counts_what_is_not_there(bench):
    ask, tally = A, Tally()
    assert await bench.cache.peek(lookup(), ask=ask, tally=tally) is None
    await bench.cache.keep(lookup(), Produced("made"), ask=ask)
    found = await bench.cache.peek(lookup(), ask=ask, tally=tally)
    assert (found.value, found.cache) == ("made", "hit")
    await bench.clock.advance(60)
    assert await bench.cache.peek(lookup(), ask=ask, tally=tally) is None, "stale"
    assert (await bench.cache.peek(lookup(), ask=replace(A, cache="only"), tally=tally)).value == "made"
    for mode in ("bypass", "record"):
        assert await bench.cache.peek(lookup(), ask=replace(A, cache=mode), tally=tally) is None
    for mode in ("bypass", "only"):
        await bench.cache.keep(lookup("x"), Produced("made"), ask=replace(A, cache=mode))
    assert await bench.cache.peek(lookup("x"), ask=ask, tally=tally) is None
    assert bench.counted() == {"hit": 1, "stale": 1}
