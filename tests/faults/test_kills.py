"""SIGKILL and SIGTERM on real processes over a real store: another process goes on with what they held."""

import asyncio
import contextlib
import signal
import sys

import pytest

from literesearcher.jobs.live import LocalLive
from literesearcher.jobs.model import ENDED
from literesearcher.jobs.sql_store import open_store
from literesearcher.orchestrator.faults import FAULT_POINTS
from literesearcher.settings.sections import OrchestratorSection
from literesearcher.testing.bench import Bench
from literesearcher.timing.clock import SystemClock


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.sqlite3'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
async def world(url, script):
    store = await open_store(url, migrate=True)
    yield Bench(
        store=store,
        live=LocalLive(),
        clock=SystemClock(),
        engine=script.PromptEngine(),
        tools=script.Echo(),
        orchestrator=OrchestratorSection(lease_seconds=1, poll_seconds=0.05),
    )
    await store.aclose()


@pytest.mark.parametrize("point", FAULT_POINTS)
async def test_a_killed_process_leaves_a_job_that_goes_on(world, url, script, script_file, check_journal, point):
    job = await world.create()
    n = 1 if point in ("after_claim", "before_end", "after_end") else 5
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script_file), url, job.id, point, str(n), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == -signal.SIGKILL, said.decode()
    before = await world.store.read(job.id)
    waits: list[float] = []
    ended = await world.worker("next").run_job(job.id, on_wait=waits.append)
    assert (ended.status, ended.output_text) == ("completed", script.ANSWER)
    after = await world.store.read(job.id)
    assert after[: len(before)] == before
    check_journal(after)
    assert all(wait <= 1 for wait in waits)


async def test_processes_that_share_a_store_finish_every_job_whichever_of_them_is_killed(
    world, url, script_file, check_journal
):
    jobs = [await world.create(str(n)) for n in range(24)]
    running: list[asyncio.subprocess.Process] = []

    async def start() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script_file), url, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"serving\n"
        running.append(process)

    async def begun(count: int) -> bool:
        rows = [await world.store.read(job.id) for job in jobs]
        return sum(row.type == "turn.completed" for journal in rows for row in journal) >= count

    async def over() -> bool:
        return {(await world.job(job)).status for job in jobs} <= ENDED

    try:
        await start()
        await world.until(lambda: begun(10))
        running.pop().kill()
        await start()
        await start()
        await world.until(lambda: begun(60))
        running.pop().kill()
        await world.until(over)
        running[0].send_signal(signal.SIGTERM)
        assert await running.pop().wait() == 0
    finally:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    for job in jobs:
        check_journal(await world.store.read(job.id))


async def test_a_process_that_is_told_to_stop_hands_its_jobs_to_the_next_at_once(
    world, url, script_file, check_journal
):
    jobs = [await world.create(str(n)) for n in range(12)]
    process = await asyncio.create_subprocess_exec(sys.executable, str(script_file), url)
    try:

        async def begun() -> bool:
            return min([len(await world.store.read(job.id)) for job in jobs]) > 2

        await world.until(begun)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    backlog = await world.store.backlog()
    assert backlog.running == 0
    async with world.serving():
        for job in jobs:
            await world.ended(job)
    for job in jobs:
        rows = await world.store.read(job.id)
        check_journal(rows)
        assert "effect.unknown" not in [row.type for row in rows]
    attempts = [(await world.types(job)).count("attempt.started") for job in jobs]
    assert 2 in attempts


async def test_a_database_that_is_down_for_a_while_costs_no_job(postgres_server, script, check_journal):
    store = await open_store(postgres_server.url, migrate=True)
    try:
        engine = script.PromptEngine(0.05)
        world = Bench(
            store=store,
            live=LocalLive(),
            clock=SystemClock(),
            engine=engine,
            tools=script.Echo(),
            orchestrator=OrchestratorSection(lease_seconds=2, poll_seconds=0.1),
        )
        jobs = [await world.create(str(n)) for n in range(6)]
        async with world.serving():
            await world.until(lambda: len(engine.requests) >= 12)
            await asyncio.to_thread(postgres_server.stop)
            asked = len(engine.requests)
            await asyncio.to_thread(postgres_server.start)
            for job in jobs:
                await world.ended(job)
        assert len(engine.requests) > asked
        for job in jobs:
            check_journal(await store.read(job.id))
    finally:
        await store.aclose()
