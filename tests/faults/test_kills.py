"""SIGKILL at each point, over a real SQLite file: another process goes on with the job."""

import asyncio
import signal
import sys

import pytest

from literesearcher.jobs.live import LocalLive
from literesearcher.jobs.sql_store import open_store
from literesearcher.orchestrator.faults import FAULT_POINTS
from literesearcher.settings.sections import OrchestratorSection
from literesearcher.testing.bench import Bench
from literesearcher.timing.clock import SystemClock


@pytest.mark.parametrize("point", FAULT_POINTS)
async def test_a_killed_process_leaves_a_job_that_goes_on(tmp_path, script, script_file, check_journal, point):
    url = f"sqlite:///{tmp_path / 'jobs.sqlite3'}"
    store = await open_store(url)
    try:
        engine, tools = script.PromptEngine(), script.Echo()
        world = Bench(
            store=store,
            live=LocalLive(),
            clock=SystemClock(),
            engine=engine,
            tools=tools,
            orchestrator=OrchestratorSection(lease_seconds=1, poll_seconds=0.05),
        )
        job = await world.create()
        n = 1 if point in ("after_claim", "before_end", "after_end") else 5
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script_file), url, job.id, point, str(n), stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
        assert process.returncode == -signal.SIGKILL, said.decode()
        before = await store.read(job.id)
        waits: list[float] = []
        ended = await world.worker("next").run_job(job.id, on_wait=waits.append)
        assert (ended.status, ended.output_text) == ("completed", script.ANSWER)
        after = await store.read(job.id)
        assert after[: len(before)] == before
        check_journal(after)
        assert all(wait <= 1 for wait in waits)
    finally:
        await store.aclose()
