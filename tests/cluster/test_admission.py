"""Admission on real Serve: orchestrators take jobs as the KV pools bear, and the rest wait in line.

The pool is made up, its pressure real: four jobs that pause in a tool hold 95 % of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.conftest import PATIENCE_SECONDS
from cluster.queued import QueuedJobs
from literesearcher.cluster.serve_engine import ServeEngine
from literesearcher.settings.sections import AdmissionSection, GatewaySection
from literesearcher.testing.bench import Bench
from literesearcher.testing.gated_tools import ALL, gated_configuration
from literesearcher.testing.served_gateway import FAST, Served, running
from literesearcher.testing.timed_application import DEPLOYMENT, timed_configuration
from literesearcher.testing.timed_engine import TOKEN, Timing

pytest.importorskip("ray")
LONG = "x" * TOKEN * 8_000
POOL = 34_500
FIRST = 4
"""Jobs of a window before anything is known; so many long ones fill the pool."""
INTERVAL_SECONDS = 10.0
"""A window moves no sooner."""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.1)


def test_jobs_wait_while_the_pools_are_full_and_start_when_there_is_room(cluster, tmp_path: Path) -> None:
    gates = tmp_path / "gates"
    gates.mkdir()
    jobs = QueuedJobs(tmp_path, jobs_at_once=64)
    cluster.put(
        timed_configuration(
            "engine", timing=Timing(kv_tokens=POOL, prefill_per_second=1e6, decode_per_second=1e5), replicas=1
        )
    )
    cluster.put(gated_configuration("tools", gates))
    long = jobs.add(FIRST, LONG)
    cluster.put(jobs.application())
    try:
        jobs.do(lambda bench: pressed(bench, long, gates))
    finally:
        (gates / ALL).touch()
        cluster.remove("orchestrator", "tools", "engine")


async def pressed(bench: Bench, long: list[str], gates: Path) -> None:
    from ray import serve

    engine = ServeEngine(serve.get_deployment_handle(DEPLOYMENT, "engine"))

    async def full() -> bool:
        [load] = (await engine.exchange(None, None)).values()
        return load.kv_used > 0.9 * POOL

    await until(full)
    admission = AdmissionSection(max_wait_seconds=INTERVAL_SECONDS)
    async with running(bench.store, bench.live, GatewaySection(), FAST, admission=admission) as gateway:
        short = [await gateway.create("A short one?") for _ in range(8)]
        await wait_in_line(bench, gateway, short)
        for job in long:
            (gates / job).touch()
        for job in long:
            assert await how_it_ended(bench, job) == "answer", "what was begun goes on"
        await estimated(bench, gateway, long, short[-1])

        async def open_again() -> bool:
            return (await bench.store.backlog()).running > FIRST

        await until(open_again)
        (gates / ALL).touch()
        for job in short:
            assert await how_it_ended(bench, job) == "answer"


async def wait_in_line(bench: Bench, gateway: Served, short: list[str]) -> None:
    """Longer than a window takes to move; nobody else starts, and more than may wait are refused."""

    async def long_enough() -> bool:
        assert (await bench.store.backlog()).running <= FIRST
        return (await bench.store.line("default", priority=0)).head_seconds > INTERVAL_SECONDS + 5

    await until(long_enough)
    for place, job in enumerate(short):
        _, _, body = await gateway.call("GET", f"/v1/research/{job}")
        assert body["status"] == "queued"
        assert body["queue"] == {"position": place + 1, "start_seconds": None}, "no job has ended to tell by"
    status, headers, problem = await gateway.call("POST", "/v1/research", json={"input": "One more?"})
    assert (status, problem["code"]) == (429, "queue_full")
    assert int(headers["Retry-After"]) > 0


async def estimated(bench: Bench, gateway: Served, ended: list[str], last: str) -> None:
    """The last of the line is told when it may start: by what those that ended took, and by as many as run."""
    took = []
    for job in ended:
        known = await bench.store.get("default", job)
        assert known.started_at is not None
        assert known.ended_at is not None
        took.append((known.ended_at - known.started_at).total_seconds())
    each = sum(took) / len(took)
    assert each > INTERVAL_SECONDS, "they waited longer than that for their tools"
    told: list[dict[str, Any]] = []

    async def says() -> bool:
        _, _, body = await gateway.call("GET", f"/v1/research/{last}")
        assert body["status"] == "queued", "all before it wait for their tools"
        told.append(body["queue"])
        return body["queue"]["start_seconds"] is not None

    await until(says)
    place, seconds = told[-1]["position"], told[-1]["start_seconds"]
    assert 1 <= place <= 8 - 1
    assert any(seconds == pytest.approx(place * each / live, abs=0.2) for live in range(1, 9 - place)), (told, took)


async def how_it_ended(bench: Bench, job: str) -> str | None:
    async def over() -> bool:
        return (await bench.store.get("default", job)).stop_reason is not None

    await until(over)
    return (await bench.store.get("default", job)).stop_reason
