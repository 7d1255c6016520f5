"""A worker's limit over real loads: it moves, holds where nothing is said, and the worker keeps to it."""

from __future__ import annotations

import asyncio

from literesearcher.cluster.admission.engine_admission import EngineAdmission, loads_of
from literesearcher.cluster.admission.window import WindowTuning
from literesearcher.engine.load import EngineLoad
from literesearcher.errors import BoundaryError
from literesearcher.jobs.live import LocalLive
from literesearcher.testing.bench import Bench
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.testing.memory_store import MemoryStore
from literesearcher.testing.scripted_tools import ScriptedTools
from literesearcher.testing.timed_engine import TimedEngine
from literesearcher.timing.clock import SystemClock

MOST = 50


class Pools:
    """Replicas that say what the test wants, or fail."""

    def __init__(self) -> None:
        self.said: dict[str, EngineLoad | None] = {"a": EngineLoad(1_000), "b": EngineLoad(1_000)}
        self.away = False

    async def __call__(self) -> dict[str, EngineLoad | None]:
        if self.away:
            raise BoundaryError("the engine is away", code="engine_unreachable", transient=True)
        return self.said


async def test_it_grows_with_room_shrinks_with_pressure_and_holds_in_silence() -> None:
    pools, clock = Pools(), ManualClock()
    admission = EngineAdmission(pools, most=MOST, clock=clock, tuning=WindowTuning(first=4, interval_seconds=10))
    assert await admission.room(0) == 8
    await clock.advance(10)
    assert await admission.room(8) == 2
    pools.away = True
    await clock.advance(60)
    assert await admission.room(8) == 2
    pools.away, pools.said = False, {"a": EngineLoad(1_000, kv_used=950), "b": None}
    await clock.advance(60)
    assert await admission.room(8) == 0
    pools.said = {"b": EngineLoad(1_000)}
    await clock.advance(10)
    assert await admission.room(0) == 5


async def test_an_engine_that_was_never_heard_of_stops_no_queue() -> None:
    pools, clock = Pools(), ManualClock()
    pools.away = True
    admission = EngineAdmission(pools, most=2, clock=clock)
    assert await admission.room(0) == 2
    assert await admission.room(2) == 0


async def test_it_reads_a_runtime_in_this_process() -> None:
    clock = ManualClock()
    engine = TimedEngine(clock=clock)
    admission = EngineAdmission(loads_of(engine), most=MOST, clock=clock, tuning=WindowTuning(first=3))
    assert await admission.room(1) == 2


class Gate:
    """A limit that the test moves."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.seen: list[int] = []

    async def room(self, held: int) -> int:
        self.seen.append(held)
        return max(0, self.most - held)


async def test_a_worker_holds_no_more_than_it_may_and_more_when_it_may() -> None:
    engine = TimedEngine()
    engine.stall()
    clock = SystemClock()
    bench = Bench(store=MemoryStore(clock), live=LocalLive(), clock=clock, engine=engine, tools=ScriptedTools())
    gate = Gate(2)
    for _ in range(5):
        await bench.create()
    worker = bench.worker(admission=gate)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        async with asyncio.timeout(60):
            while (await bench.store.backlog()).running != 2 or len(gate.seen) < 3:
                await asyncio.sleep(0.01)
            gate.most = 4
            while (await bench.store.backlog()).running != 4:
                await asyncio.sleep(0.01)
        assert max(gate.seen) <= 4
    finally:
        running.cancel()
        await asyncio.wait([running])
