"""The whole platform over recorded rollouts on a local Ray: REST in, three applications, SSE out; and with replicas,
orchestrators and Serve's HTTP proxy killed while jobs run.

What reaches the model is the recorded text to the byte, whoever carried it.
"""

from __future__ import annotations

import asyncio
import os
import random
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

KILLS = 4
ORCHESTRATOR, ENGINE, TOOLS, PROXY = (
    *(f"ServeReplica:{name}" for name in ("orchestrator", "engine", "tools")),
    "ProxyActor",
)
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


@pytest.mark.timeout(600)
async def test_killed_replicas_orchestrators_and_proxy(tmp_path: Path, redis_url: str, postgres_url: str) -> None:
    """Under `serve --ray`, which ends what it started. Four lives of orchestrators end in SIGKILL; in between a replica
    of each other application does, and Serve's HTTP proxy. The seed is in the failure's output."""
    rollouts = recordings.published() or recordings.SELF_MADE
    cases = load(rollouts)
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    moments = random.Random(seed)
    settings = settings_with(redis_url) | {"LITERESEARCHER_STORE__URL": postgres_url}
    async with House(tmp_path, settings) as house, aiohttp.ClientSession() as session:
        # Slow enough that no job ends within the lives.
        replay = await house.replay(rollouts, "--delay", "0.6" if recordings.published() else "5")
        try:
            assert (await house.ran("store", "migrate"))[0] == 0
            program, base = await house.serve("--ray")
            jobs = [await post(session, base, case.question) for case in cases]
            followers = asyncio.gather(*(follow(session, base, job) for job in jobs))
            also = {2: TOOLS, 3: PROXY}
            try:
                for life in range(1, KILLS + 1):
                    await until(lambda life=life: all(_ended(job) or _attempts(job) >= life for job in jobs), followers)
                    if life == 1:
                        await lose_a_turn(house, jobs, followers)
                    else:
                        await until(lambda life=life: life not in also or kill(house, also[life]), followers)
                    await asyncio.sleep(moments.uniform(0.0, 0.8))
                    ends = [(job.job["status"], job.job["error"], len(turns_of(job))) for job in jobs]
                    assert not followers.done(), f"all jobs ended within {life} lives: {ends}"
                    await until(lambda: kill(house, ORCHESTRATOR), followers)
                followed = list(await followers)
            finally:
                followers.cancel()
            for case, got in zip(cases, followed, strict=True):
                check_job(case, got)
            assert max(got.job["attempt"] for got in followed) > KILLS
            assert len({turn["replica"] for turn in _turns(followed)}) > 1, "made again elsewhere"
            check_report(await report(session, replay), cases)
            assert (await models(house))[0] == 200, "the proxy is back"
            assert await program.terminate() == 0
            await check_replays(house, cases, followed)
        finally:
            # Of a test that failed before that.
            await house.ran("cluster", "down")
        assert left_behind(tmp_path) == []


def kill(house: House, title: str) -> list[int]:
    """SIGKILL to those processes of the test's Ray."""
    found = of_ray(house.folder, title)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return found


async def lose_a_turn(house: House, jobs: list[Followed], followers: asyncio.Future[Any]) -> None:
    """Kill the engine's replica while turns are made there, until one of them is seen to have been made again."""
    for _ in range(5):
        await until(lambda: all(turns_of(job) for job in jobs) and sum(map(_in_turn, jobs)) > len(jobs) / 2, followers)
        before = len(_turns(jobs))
        await until(lambda: kill(house, ENGINE), followers)
        # Of two turns a job one was under way or came later.
        await until(lambda before=before: _made_again(jobs) or len(_turns(jobs)) > before + 2 * len(jobs), followers)
        if _made_again(jobs):
            return
    raise AssertionError("no turn was lost with its replica")


def _turns(jobs: list[Followed]) -> list[dict[str, Any]]:
    return [turn for job in jobs for turn in turns_of(job)]


def _made_again(jobs: list[Followed]) -> bool:
    return any(turn["tries"] > 1 for turn in _turns(jobs))


def _in_turn(job: Followed) -> bool:
    return bool(job.events) and job.events[-1]["type"] == "turn.started"


def _attempts(job: Followed) -> int:
    return sum(1 for event in job.events if event["type"] == "attempt.started")


def _ended(job: Followed) -> bool:
    return bool(job.events) and job.events[-1]["type"] == "job.ended"


async def until(condition: Callable[..., Any], followers: asyncio.Future[Any]) -> None:
    """Wait for the condition; a follower's own failure comes first."""
    async with asyncio.timeout(180):
        while not condition() and not followers.done():
            await asyncio.sleep(0.02)
    if followers.done():
        followers.result()
