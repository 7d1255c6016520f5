"""The whole platform over recorded rollouts on a local Ray: REST in, three applications, SSE out; and with replicas,
orchestrators and Serve's HTTP proxy killed while jobs run.

What reaches the model is the recorded text to the byte, whoever carried it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cluster.programs import (
    a_cluster,
    left_behind,
    loaded_modules,
    models,
    of_ray,
    pids,
    settings_with,
    turns_of,
    watching,
)
from literesearcher.testing.replay.programs import Followed, House, follow, post, report
from literesearcher.testing.replay.rollouts import Case, load
from replay import recordings
from replay.expectations import check_deltas, check_job, check_replays, check_report, run_all

FOREIGN = {
    "engine": {"sqlalchemy", "tantivy", "literesearcher.jobs", "literesearcher.tools", "literesearcher.orchestrator"},
    "tools": {"sqlalchemy", "literesearcher.jobs.sql_store", "literesearcher.orchestrator"},
    "orchestrator": {
        "tantivy",
        "pypdfium2",
        "html_to_markdown",
        "literesearcher.reading.html_text",
        "literesearcher.tools.providers",
        "literesearcher.tools.pages",
        "literesearcher.engine.openai",
        "literesearcher.corpus.index",
    },
}
"""What each application has no use for, beside what nobody has."""
HEAVY = {"torch", "transformers", "sglang", "literesearcher.gateway.app"}


@pytest.mark.timeout(600)
async def test_rollouts_from_rest_to_answer(rollouts: Path, tmp_path: Path, redis_url: str) -> None:
    cases = load(rollouts)
    settings = settings_with(redis_url) | watching(tmp_path / "modules")
    async with a_cluster(tmp_path, rollouts, "--delay", "0.3", settings=settings) as (house, replay):
        _, base = await house.gateway()
        async with aiohttp.ClientSession() as session:
            followed = await run_all(session, base, cases)
            for case, got in zip(cases, followed, strict=True):
                check_job(case, got)
                check_deltas(case, got)
                assert all(turn["replica"] for turn in turns_of(got)), "each turn names the replica that served it"
            check_report(await report(session, replay), cases)
            assert any(got.deltas for got in followed), "text was streamed through the handles"
            await check_cancel(session, base, max(cases, key=lambda case: len(case.turns)))
        await check_replays(house, cases, followed)
        status, listed = await models(house)
        assert (status, len(listed["data"])) == (200, 1)
        assert (await models(house, "somebody"))[0] == 401
        before = await pids(house)
        assert {name: len(found) for name, found in before.items()} == {"engine": 1, "tools": 1, "orchestrator": 1}
        loaded = await loaded_modules(tmp_path / "modules", [found[0] for found in before.values()])
        for name, [pid] in before.items():
            foreign = FOREIGN[name] | HEAVY
            assert f"literesearcher.cluster.{name}_app" in loaded[pid]
            assert (name, [one for one in foreign if any(_within(found, one) for found in loaded[pid])]) == (name, [])


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


async def check_cancel(session: aiohttp.ClientSession, base: str, case: Case) -> None:
    """A cancelled job ends at once though a replica elsewhere is making its turn."""
    job = await post(session, base, case.question)

    async def cancel(_: Followed) -> None:
        async with session.post(base + job.job["links"]["self"] + "/cancel") as answer:
            assert answer.status < 300, await answer.text()

    asked: list[asyncio.Task[None]] = []

    def on_event(heard: Followed) -> None:
        if heard.events[-1]["type"] == "turn.started" and not asked:
            asked.append(asyncio.create_task(cancel(heard)))

    await follow(session, base, job, on_event)
    await asked[0]
    assert (job.job["status"], job.job["stop_reason"]) == ("cancelled", "cancelled")
    assert len(turns_of(job)) < len(case.turns)


@pytest.mark.timeout(400)
async def test_killed_replicas_orchestrators_and_proxy(tmp_path: Path, redis_url: str) -> None:
    """Under `serve --ray`, which ends what it started."""
    cases = load(recordings.SELF_MADE)
    async with House(tmp_path, settings_with(redis_url)) as house, aiohttp.ClientSession() as session:
        replay = await house.replay(recordings.SELF_MADE, "--delay", "1.5")
        try:
            program, base = await house.serve("--ray")
            replicas = await pids(house)
            jobs = [await post(session, base, case.question) for case in cases]
            followers = asyncio.gather(*(follow(session, base, job) for job in jobs))
            try:
                await until(lambda: all(turns_of(job) for job in jobs), followers)
                os.kill(replicas["orchestrator"][0], signal.SIGKILL)
                for pid in of_ray(house.folder, "ProxyActor"):
                    os.kill(pid, signal.SIGKILL)
                await until(lambda: sum(under_way_again(job) for job in jobs) >= 2, followers)
                os.kill(replicas["engine"][0], signal.SIGKILL)
                followed = list(await followers)
            finally:
                followers.cancel()
            for case, got in zip(cases, followed, strict=True):
                check_job(case, got)
            seen = await report(session, replay)
            assert seen["unexpected"] == []
            assert all(case["mismatches"] == case["not_asked"] == [] for case in seen["cases"].values())
            turns = [turn for got in followed for turn in turns_of(got)]
            assert max(turn["tries"] for turn in turns) > 1, "a turn was made again"
            assert len({turn["replica"] for turn in turns}) == 2, "and at another replica"
            assert (await models(house))[0] == 200, "the proxy is back"
            assert await program.terminate() == 0
        finally:
            # Of a test that failed before that.
            await house.ran("cluster", "down")
        assert left_behind(tmp_path) == []


def under_way_again(job: Followed) -> bool:
    """Another orchestrator has the job, has had a turn of it made, and waits for the next."""
    types = [event["type"] for event in job.events]
    if types.count("attempt.started") < 2:
        return False
    again = types[len(types) - types[::-1].index("attempt.started") :]
    return "turn.completed" in again and again[-1] == "turn.started"


async def until(condition: Callable[[], bool], followers: asyncio.Future[Any]) -> None:
    """Wait for the condition; a follower's own failure comes first."""
    async with asyncio.timeout(120):
        while not condition() and not followers.done():
            await asyncio.sleep(0.02)
    if followers.done():
        followers.result()
