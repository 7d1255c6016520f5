"""What an orchestrator replica knows of the queue and the pools, and what an engine replica is told of it."""

from __future__ import annotations

import asyncio

import pytest

from literesearcher.cluster.admission.engine_admission import EngineAdmission
from literesearcher.cluster.engine_signals import EngineSignals
from literesearcher.cluster.surroundings import Surroundings
from literesearcher.engine.load import EngineLoad
from literesearcher.errors import BoundaryError
from literesearcher.jobs.model import Backlog
from literesearcher.testing.manual_clock import ManualClock

AWAY = BoundaryError("it is away", code="store_unreachable", transient=True)


class World:
    """A store and pools that say what the test wants, or fail."""

    def __init__(self) -> None:
        self.counts: Backlog | BoundaryError = Backlog(3, 2, 0.0)
        self.pools: dict[str, EngineLoad | None] | BoundaryError = {"a": EngineLoad(1_000), "b": EngineLoad(1_000)}
        self.counted = 0
        self.told: list[tuple[int | None, int | None]] = []

    async def backlog(self) -> Backlog:
        self.counted += 1
        if isinstance(self.counts, BoundaryError):
            raise self.counts
        return self.counts

    async def exchange(self, queued: int | None, live: int | None) -> dict[str, EngineLoad | None]:
        self.told.append((queued, live))
        if isinstance(self.pools, BoundaryError):
            raise self.pools
        return self.pools


def around(world: World, clock: ManualClock) -> Surroundings:
    return Surroundings(backlog=world.backlog, exchange=world.exchange, clock=clock)


async def test_engines_are_told_what_the_store_counts_and_the_store_is_not_asked_each_time() -> None:
    world, clock = World(), ManualClock()
    surroundings = around(world, clock)
    assert surroundings.record() == {}
    for _ in range(4):
        await surroundings.look()
        await clock.advance(1.0)
    assert world.told == [(3, 2)] * 4
    assert world.counted == 2
    assert surroundings.record() == {"queued": 3.0, "live": 2.0}


async def test_a_silent_store_is_not_known_and_ends_nothing() -> None:
    world, clock = World(), ManualClock()
    surroundings = around(world, clock)
    await surroundings.look()
    world.counts = AWAY
    await clock.advance(5.0)
    await surroundings.look()
    assert surroundings.record() == {"queued": 3.0, "live": 2.0}, "a word of five seconds ago still counts"
    await clock.advance(6.0)
    await surroundings.look()
    assert surroundings.record() == {}
    assert world.told[-1] == (None, None)
    world.counts = Backlog(0, 1, 0.0)
    await clock.advance(2.0)
    await surroundings.look()
    assert surroundings.record() == {"queued": 0.0, "live": 1.0}


async def test_pools_are_known_while_they_speak_then_silent_then_gone() -> None:
    world, clock = World(), ManualClock()
    surroundings = around(world, clock)
    with pytest.raises(BoundaryError, match="no replica of the engine"):
        await surroundings.loads()
    await surroundings.look()
    world.pools = {"b": EngineLoad(1_000, kv_used=7)}
    await clock.advance(4.0)
    await surroundings.look()
    assert await surroundings.loads() == {"a": None, "b": EngineLoad(1_000, kv_used=7)}
    await clock.advance(7.0)
    await surroundings.look()
    assert list(await surroundings.loads()) == ["b"]
    world.pools = AWAY
    await clock.advance(11.0)
    await surroundings.look()
    with pytest.raises(BoundaryError, match="no replica of the engine"):
        await surroundings.loads()


async def test_a_look_that_hangs_holds_up_no_claim() -> None:
    world, clock = World(), ManualClock()
    surroundings = around(world, clock)
    admission = EngineAdmission(surroundings.loads, most=9, clock=clock)
    await surroundings.look()
    hung = asyncio.Event()

    async def exchange(queued: int | None, live: int | None) -> dict[str, EngineLoad | None]:
        await hung.wait()
        return {}

    watching = asyncio.create_task(Surroundings(backlog=world.backlog, exchange=exchange, clock=clock).watch_forever())
    assert await admission.room(0) == 8
    assert not watching.done()
    watching.cancel()
    await asyncio.wait([watching])


async def test_engines_without_a_pool_bound_nothing_and_unheard_ones_a_first_window() -> None:
    world, clock = World(), ManualClock()
    surroundings = around(world, clock)
    admission = EngineAdmission(surroundings.loads, most=50, clock=clock)
    assert (await admission.room(0), admission.allowed()) == (4, 4)
    world.pools = {"a": None, "b": None}
    await surroundings.look()
    await clock.advance(1.0)
    assert (await admission.room(0), admission.allowed()) == (50, None)
    assert await admission.room(48) == 2


async def test_an_engine_replica_records_what_it_was_told_until_that_is_old() -> None:
    clock = ManualClock()
    signals, load = EngineSignals(clock), EngineLoad(1_000, kv_used=10)
    assert "queued" not in signals.record(load)
    signals.told(5, 2)
    signals.told(None, None)
    assert signals.record(load) | {"kv_used": 10.0, "queued": 5.0, "live": 2.0} == signals.record(load)
    await clock.advance(11.0)
    assert not {"queued", "live"} & set(signals.record(load))


async def test_the_time_to_first_texts_is_a_median_of_late_and_counts_those_who_wait() -> None:
    clock = ManualClock()
    signals = EngineSignals(clock)
    assert signals.ttft_seconds() is None
    for seconds in (1.0, 9.0, 2.0):
        call = signals.begun()
        await clock.advance(seconds)
        signals.came(call)
        signals.came(call)
        signals.ended(call)
    silent = signals.begun()
    signals.ended(silent)
    assert signals.ttft_seconds() == 2.0
    waiting = signals.begun()
    await clock.advance(30.0)
    assert signals.ttft_seconds() == 30.0
    signals.ended(waiting)
    assert signals.ttft_seconds() == 2.0
    await clock.advance(60.0)
    assert signals.ttft_seconds() is None
