"""A crash at every point, at every hit of it over a whole job: the next worker ends the job as if nothing had been."""

import asyncio

import pytest

from literesearcher.orchestrator.faults import FAULT_POINTS
from literesearcher.testing.faults import Crash, CrashAt

HITS = {
    "after_claim": 1,
    "before_intent": 9,
    "after_intent": 9,
    "during_effect": 9,
    "before_result": 9,
    "after_result": 9,
    "before_end": 1,
    "after_end": 1,
}
"""6 model calls and 3 tool calls, one end."""
CASES = [(point, n) for point in FAULT_POINTS for n in range(1, HITS[point] + 1)]


async def test_the_points_are_reached_as_often_as_the_cases_say(world, check_journal):
    faults = CrashAt("after_claim", 0)
    job = await world.create()
    async with world.serving(world.worker(faults=faults)):
        await world.ended(job)
    assert dict(faults.hits) == HITS
    check_journal(await world.store.read(job.id))


@pytest.mark.parametrize(("point", "n"), CASES)
async def test_a_crash_loses_nothing_and_doubles_nothing(world, check_journal, point, n):
    job = await world.create()
    with pytest.raises(Crash):
        await world.worker("first", faults=CrashAt(point, n)).run(asyncio.Event())
    before = await world.store.read(job.id)
    await world.clock.advance(31)
    async with world.serving(world.worker("second")):
        ended = await world.ended(job)
    after = await world.store.read(job.id)
    assert after[: len(before)] == before
    check_journal(after)
    # An effect is done again only where its intent stands alone, and a result that was committed stays.
    alone = before[-1].type in ("turn.started", "tool.started")
    assert sum(row.type == "effect.unknown" for row in after) == int(alone)
    results = sum(row.type == "turn.completed" or row.payload.get("called") is True for row in before)
    if point.endswith("_result"):
        assert results == (n if point == "after_result" else n - 1)
    assert len(world.engine.requests) <= sum(row.type == "turn.started" for row in after)
    prompts = {request.turn: request.messages for request in world.engine.requests}
    assert all(request.messages == prompts[request.turn] for request in world.engine.requests)
    assert ended.attempt == (1 if before[-1].type == "job.ended" else 2)


@pytest.mark.parametrize("point", FAULT_POINTS)
async def test_a_crash_while_recovering_from_a_crash(world, check_journal, point):
    job = await world.create()
    crashes = 0
    for n in (1, 1, 2, 1, 3, 1):
        try:
            await asyncio.wait_for(world.worker(str(n), faults=CrashAt(point, n)).run_job(job.id), 30)
        except Crash:
            crashes += 1
            await world.clock.advance(31)
    async with world.serving(world.worker("last")):
        await world.ended(job)
    assert crashes > 0
    check_journal(await world.store.read(job.id))


async def test_a_crash_takes_all_jobs_of_the_process_and_all_go_on(world, check_journal):
    jobs = [await world.create(str(n)) for n in range(20)]
    for n in (30, 40, 50):
        with pytest.raises(Crash):
            await world.worker(faults=CrashAt("during_effect", n)).run(asyncio.Event())
        await world.clock.advance(31)
    async with world.serving():
        for job in jobs:
            await world.ended(job)
            check_journal(await world.store.read(job.id))
