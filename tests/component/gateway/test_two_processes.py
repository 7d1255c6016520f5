"""The gateway and a worker that share nothing but a database file: no bell rings, nothing is lost."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from literesearcher.jobs.live import LocalLive
from literesearcher.jobs.sql_store import SqlStore, open_store
from literesearcher.testing.journal_events import (
    attempt,
    ended,
    tool_completed,
    tool_started,
    turn_completed,
    turn_started,
)
from literesearcher.testing.served_gateway import PATIENCE, Served

Start = Callable[..., Awaitable[Served]]


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[tuple[SqlStore, SqlStore]]:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite3'}"
    ours = await open_store(url)
    theirs = await open_store(url)
    yield ours, theirs
    await theirs.aclose()
    await ours.aclose()


async def test_a_stream_and_a_waiter_see_what_another_process_writes(
    start: Start, stores: tuple[SqlStore, SqlStore]
) -> None:
    ours, theirs = stores
    served = await start(store=ours)
    worker = dataclasses.replace(served, store=theirs, live=LocalLive())
    asking = asyncio.ensure_future(
        served.call("POST", "/v1/research", json={"input": "q"}, headers={"Prefer": "wait=120"})
    )
    async with asyncio.timeout(PATIENCE):
        while not (page := await theirs.list("default")).jobs:
            await asyncio.sleep(0.02)
        job_id = page.jobs[0].id
        path = f"{served.base}/v1/research/{job_id}/events"
        async with served.session.get(path, headers={"Accept": "text/event-stream"}) as stream:
            await worker.append(job_id, attempt())
            for turn in range(1, 6):
                await worker.append(job_id, turn_started(turn))
                await worker.append(job_id, turn_completed(turn, "x" * 5000), tool_started(turn))
                await worker.append(job_id, tool_completed(turn))
            await worker.append(job_id, turn_started(6))
            await worker.append(job_id, turn_completed(6, "<answer>a</answer>"), ended("a"))
            heard = (await stream.read()).decode()
        status, _, job = await asking
    numbers = [int(line[4:]) for line in heard.splitlines() if line.startswith("id: ")]
    assert numbers == list(range(1, 26))
    assert (status, job["output"]["text"], job["last_seq"]) == (200, "a", 25)


async def test_an_idempotency_race_between_two_gateways_creates_one_job(
    start: Start, stores: tuple[SqlStore, SqlStore]
) -> None:
    gateways = [await start(store=store) for store in stores]
    answers = await asyncio.gather(
        *(
            gateway.call("POST", "/v1/research", json={"input": "q"}, headers={"Idempotency-Key": "race"})
            for gateway in gateways * 10
        )
    )
    assert {answer[0] for answer in answers} == {202}
    assert len({answer[2]["id"] for answer in answers}) == 1
    assert len((await stores[0].list("default")).jobs) == 1


async def test_a_key_made_by_another_process_closes_the_door_at_once(
    start: Start, stores: tuple[SqlStore, SqlStore]
) -> None:
    ours, theirs = stores
    served = await start(store=ours)
    assert (await served.call("GET", "/v1/research"))[0] == 200
    _, token = await theirs.create_key("one", "laptop")
    assert (await served.call("GET", "/v1/research"))[0] == 401
    assert (await served.call("GET", "/v1/research", headers={"X-API-Key": token}))[0] == 200
