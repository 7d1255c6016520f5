"""Cancelling: a held job gets a letter, one that nobody holds ends at once with all that it had."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from literesearcher.errors import NotFound
from literesearcher.jobs.cancellation import cancel
from literesearcher.jobs.live import LocalLive, inbox_topic, journal_topic
from literesearcher.jobs.model import Job, Letter
from literesearcher.research.events import (
    CancelRequested,
    EffectUnknown,
    Event,
    JobEnded,
    TurnCompleted,
    TurnStarted,
)
from literesearcher.research.messages import Sampling, Usage
from literesearcher.testing.contracts.store_jobs import LEASE, create, end, now, started, wish
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.testing.memory_store import MemoryStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def live() -> LocalLive:
    return LocalLive()


async def ask(store: MemoryStore, live: LocalLive, job: Job) -> Job:
    return await cancel(store, live, tenant_id="acme", job_id=job.id, now=now())


async def events(store: MemoryStore, job: Job) -> list[Event | None]:
    return [row.event for row in await store.read(job.id)]


async def test_a_queued_job_ends_at_once(store: MemoryStore, live: LocalLive) -> None:
    job = await create(store)
    async with live.listen(journal_topic(job.id)) as bell:
        cancelled = await ask(store, live, job)
        assert await bell.wait(5)
    assert (cancelled.status, cancelled.stop_reason) == ("cancelled", "cancelled")
    _, asked, ended = await events(store, job)
    assert isinstance(asked, CancelRequested)
    assert isinstance(ended, JobEnded)
    assert await store.claim("w", lease_seconds=LEASE) == []


async def test_a_held_job_is_its_holders_to_end(store: MemoryStore, live: LocalLive) -> None:
    job = await create(store)
    (claim,) = await store.claim("w", lease_seconds=LEASE)
    async with live.listen(inbox_topic(job.id)) as bell:
        assert (await ask(store, live, job)).status == "cancelling"
        assert await bell.wait(5)
    assert len(await store.read(job.id)) == 1
    assert await store.drain(job.id, claim.fence) == [Letter("cancel")]


async def test_a_job_whose_holder_died_keeps_what_it_had(
    store: MemoryStore, live: LocalLive, clock: ManualClock
) -> None:
    """The turn that was under way counts as unknown; the tokens of the one before stay."""
    job = await create(store)
    (claim,) = await store.claim("w", lease_seconds=LEASE)
    text = '<think>\nx\n</think>\n<tool_call>\n{"name": "search", "arguments": {"query": ["a"]}}\n</tool_call>'
    done = TurnCompleted(1, "turn", text, "stop", Usage(100, 20), 0, "m", Sampling())
    journal: list[Event] = [started(), TurnStarted(1, "turn", 0, 100), done, TurnStarted(2, "turn", 0, 100)]
    await store.append(job.id, fence=claim.fence, expected_seq=2, attempt=1, at=now(), events=journal)
    await clock.advance(LEASE + 1)
    cancelled = await ask(store, live, job)
    assert (cancelled.status, cancelled.attempt) == ("cancelled", 2)
    assert (cancelled.usage.completion_tokens, cancelled.usage.unknown_effects) == (20, 1)
    unknown = (await events(store, job))[-3]
    assert unknown == EffectUnknown(intent_seq=5, intent_type="turn.started", turn=2)


async def test_an_ended_job_stays_as_it_is(store: MemoryStore, live: LocalLive) -> None:
    job = await create(store)
    await end(store, job)
    assert (await ask(store, live, job)).status == "completed"
    assert len(await store.read(job.id)) == 3


async def test_cancelled_by_many_at_once(store: MemoryStore, live: LocalLive) -> None:
    job = await create(store)
    await asyncio.gather(*(ask(store, live, job) for _ in range(8)))
    assert (await store.get("acme", job.id)).status == "cancelled"
    assert sum(isinstance(event, JobEnded) for event in await events(store, job)) == 1


async def test_an_unknown_job(store: MemoryStore, live: LocalLive) -> None:
    job = await create(store, "other")
    with pytest.raises(NotFound):
        await ask(store, live, job)
    assert (await store.get("other", job.id)).status == "queued"


async def test_a_key_lives_a_day_in_memory_too(store: MemoryStore, clock: ManualClock) -> None:
    """The twin judges by its own clock."""
    new = wish(idempotency_key="k", request_digest="d")
    job, _ = await store.create(new)
    await clock.advance(timedelta(hours=23).total_seconds())
    assert (await store.create(new))[0].id == job.id
    await clock.advance(timedelta(hours=2).total_seconds())
    assert (await store.create(new))[1]
