"""With `hidden` sharing a tenant is told the same whether others ask the same things or nobody else is there."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.research.events import ToolTry
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.cache.lifetimes import Lifetime, Lifetimes
from literesearcher.tools.cache.lookup import Lookup, NotKept, Produced
from literesearcher.tools.cache.memory import MemoryKept
from literesearcher.tools.cache.results import ResultCache
from literesearcher.tools.governor import Tally
from literesearcher.tools.port import Ask

LIFE = Lifetime(fresh=60.0, stale=100.0, negative=10.0)
A, B, C = (Ask(tenant_id=name) for name in "abc")


class World:
    """A cache of hidden results before a source that takes two requests of three seconds, a dollar each."""

    def __init__(self, store=None, clock=None) -> None:
        self.clock = clock or ManualClock()
        self.store = store or MemoryKept(clock=self.clock)
        self.cache = ResultCache(
            self.store,
            clock=self.clock,
            metrics=ToolMetrics(),
            lifetimes=Lifetimes(LIFE, LIFE, LIFE, LIFE, 10_000.0),
            sharing="hidden",
        )
        self.error: Exception | None = None
        self.status = "found"

    async def produce(self, tally: Tally) -> Produced[str]:
        for _ in range(2):
            await self.clock.sleep(3)
            tally.tries.append(ToolTry("p", "ok", 3.0, 1.0))
        if self.error is not None:
            raise self.error
        return Produced("value", provider="p", status=self.status)

    def ask(self, ask: Ask, *, life: Lifetime = LIFE) -> asyncio.Task:
        return asyncio.create_task(self._ask(ask, life))

    async def _ask(self, ask: Ask, life: Lifetime):
        lookup = Lookup("search", "k", life, encode=lambda value: value, decode=lambda entry: entry.value)
        tally, began, error, found = Tally(), self.clock.monotonic(), "", None
        try:
            found = await self.cache.get(lookup, ask=ask, tally=tally, produce=self.produce)
        except (BoundaryError, NotKept) as raised:
            error = raised.code
        elapsed = self.clock.monotonic() - began
        assert sum(one.elapsed_seconds for one in tally.tries) <= elapsed + 1e-9, "requests took longer than the call"
        told = (error, None, None) if found is None else ("", found.cache, found.at - self.clock.now().timestamp())
        return (*told, tally.cost_usd, [one.outcome for one in tally.tries])

    async def told(self, ask: Ask, **options):
        """Error, verdict, age (0 or below), cost, outcomes; answered within ten seconds or at once."""
        task = self.ask(ask, **options)
        return await self.landed(task)

    async def landed(self, task: asyncio.Task):
        for _ in range(20):
            await self.clock.advance(0)
            if task.done():
                break
            await self.clock.advance(1)
        return await task


async def after(meddle, *, wait=0.0, then=A):
    """What A is told in a world where `meddle` happened between its own two calls, and where nothing did."""
    both = []
    for act in (meddle, None):
        world = World()
        await world.told(A)
        await world.told(A)
        await world.clock.advance(wait)
        began = world.clock.monotonic()
        if act is not None:
            await act(world)
        await world.clock.advance(30 - (world.clock.monotonic() - began))
        both.append([await world.told(then), await world.told(A)])
    return both


async def record(world):
    await world.told(replace(B, cache="record"))


async def refresh(world):
    await world.told(B)
    for _ in range(7):
        await world.clock.advance(1)


async def others_come_and_go(world):
    await world.told(replace(B, cache="record"))
    await world.told(C)
    await world.told(replace(C, cache="record"))


@pytest.mark.parametrize("meddle", [record, others_come_and_go])
@pytest.mark.parametrize("then", [A, replace(A, cache="only")])
async def test_what_others_record_changes_nothing_that_the_one_who_paid_is_told(meddle, then):
    meddled, alone = await after(meddle, then=then)
    assert meddled == alone
    assert alone[0] == ("", "hit", -30.0, 0, [])


@pytest.mark.parametrize("then", [A, replace(A, cache="only")])
async def test_a_refresh_by_another_leaves_the_payers_result_as_old_as_it_was(then):
    meddled, alone = await after(refresh, wait=60.0, then=then)
    assert meddled[0] == alone[0]
    assert alone[0][1:] == ("stale", -90.0, 0, [])


async def test_what_a_tenants_own_refresh_brought_stays_its_own():
    both = []
    for meddled in (True, False):
        world = World()
        await world.told(A)
        await world.clock.advance(60)
        assert (await world.told(A))[1] == "stale"
        await world.landed(asyncio.create_task(world.clock.sleep(7)))
        if meddled:
            await record(world)
        await world.clock.advance(40)
        both.append(await world.told(A))
    assert [one[1] for one in both] == ["hit", "hit"]
    assert both[0][3:] == both[1][3:] == (0, [])


async def test_a_recording_of_ones_own_is_known_after_others_have_replaced_what_is_shared():
    world = World()
    await world.told(replace(A, cache="record"))
    await record(world)
    assert (await world.told(A))[1] == "hit"


async def test_an_empty_result_of_another_does_not_age_the_payers():
    world = World()
    await world.told(A)
    world.status = "none"
    await record(world)
    await world.clock.advance(5)
    assert (await world.told(A))[1::2] == ("hit", 0)


@pytest.mark.parametrize("fails", [False, True])
async def test_who_joins_anothers_lookup_is_told_as_much_as_alone(fails):
    world = World()
    world.error = BoundaryError("down", code="provider_error") if fails else None
    first = world.ask(B)
    await world.clock.advance(4)
    joined = [world.ask(A), world.ask(A)]
    told = [await world.landed(one) for one in (first, *joined)]
    alone = World()
    alone.error = world.error
    pair = [alone.ask(A), alone.ask(A)]
    expected = [await alone.landed(one) for one in pair]
    assert told[1:] == expected
    assert told[0] == expected[0]
    assert expected[0][3:] == (2.0, ["ok", "ok"])
    assert expected[1][3:] == (0, [])


async def test_who_takes_over_from_another_tenant_is_charged_as_alone():
    world = World()
    first = world.ask(B)
    await world.clock.advance(4)
    second = world.ask(A)
    await world.clock.advance(0)
    first.cancel()
    assert (await world.landed(second))[1:] == ("miss", 0.0, 2.0, ["ok", "ok"])


async def test_two_calls_that_wait_on_another_process_are_charged_once():
    here = World()
    there = World(here.store, here.clock)
    first = here.ask(A)
    await here.clock.advance(1)
    waiting = [there.ask(B), there.ask(B)]
    told = [await here.landed(one) for one in (first, *waiting)]
    assert [one[1] for one in told] == ["miss", "miss", "coalesced"]
    assert [one[3] for one in told] == [2.0, 2.0, 0]


@pytest.mark.parametrize("mark", [b"1e300", b"-1e12", b"nan", b"x", b"1" * 1_000_000, b"--"])
async def test_a_hostile_mark_reads_as_none(mark):
    world = World()
    put, marks = world.store.put, []

    async def spy(key, value, *, seconds):
        if len(value) < 40:
            marks.append(key)
        await put(key, value, seconds=seconds)

    world.store.put = spy
    await world.told(A)
    await record(world)
    for key in marks:
        await put(key, mark, seconds=60)
    assert (await world.told(replace(A, cache="only")))[0] == "not_kept"
    assert (await world.told(A))[1] == "miss"
