"""The store's contract, first part: jobs, idempotency, pages, removal. Part of `testing.contracts.store`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pytest

from literesearcher.errors import BoundaryError, Conflict, LeaseLost, NotFound
from literesearcher.jobs.ids import new_id
from literesearcher.jobs.model import Job, Letter, NewJob
from literesearcher.jobs.ports import Store
from literesearcher.research.events import (
    STATUS_BY_STOP_REASON,
    AttemptStarted,
    Citation,
    Event,
    JobCreated,
    JobEnded,
    JobUsage,
    StopReason,
    ToolStarted,
)
from literesearcher.research.messages import Limits, Sampling

T = TypeVar("T")
PATIENCE_SECONDS = 30.0
LEASE = 60.0
QUESTION = "谁 wrote “Gödel, Escher, Bach”?\n\u2028 \U0001f300"


def now() -> datetime:
    """Wall time, as a caller would stamp it."""
    return datetime.now(UTC)


def wish(tenant: str = "acme", *, at: datetime | None = None, **changes: Any) -> NewJob:
    """A job to create."""
    at = at or now()
    created = JobCreated(
        input=QUESTION,
        system_prompt="Research.",
        current_date="2026-01-02",
        profile="inference",
        question_form="bare",
        at_context_limit="answer",
        sampling=Sampling(),
        limits=Limits(),
        deadline_at=(at + timedelta(hours=1)).timestamp(),
    )
    return NewJob(tenant, created, at, **changes)


def started() -> AttemptStarted:
    """What a worker appends first."""
    return AttemptStarted(worker="w", engine="scripted", model="m", context_length=4096)


def tool(turn: int) -> ToolStarted:
    """Any small event."""
    return ToolStarted(turn, "search", {"query": [f"q{turn}"]})


def ended(stop_reason: StopReason = "answer", text: str | None = "Hofstadter") -> JobEnded:
    """An end with everything in it; a model may write NUL."""
    return JobEnded(
        stop_reason=stop_reason,
        status=STATUS_BY_STOP_REASON[stop_reason],
        output_text=text,
        citations=[Citation("https://example.org/", "GEB", "by Hofstadter\x00", 2)],
        usage=JobUsage(turns=1, prompt_tokens=10, completion_tokens=5),
    )


async def create(store: Store, tenant: str = "acme", **changes: Any) -> Job:
    """Create and give the job."""
    job, made = await store.create(wish(tenant, **changes))
    assert made
    return job


async def end(store: Store, job: Job, event: JobEnded | None = None, *, at: datetime | None = None) -> None:
    """Claim a fresh job and end it."""
    (claim,) = await store.claim("w", lease_seconds=LEASE, job_id=job.id)
    events: list[Event] = [started(), event or ended()]
    seq = claim.job.last_seq + 1
    await store.append(
        job.id, fence=claim.fence, expected_seq=seq, attempt=claim.attempt, at=at or now(), events=events
    )


async def eventually(look: Callable[[], Awaitable[T]]) -> T:
    """The first true answer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := await look()):  # noqa: ASYNC110 - another process may be what is waited for
            await asyncio.sleep(0.02)
        return found


class JobsContract:
    """`store` and `second` are fixtures of the subclass: two handles on the same data (or one and the same)."""

    async def test_a_created_job_is_there_as_given(self, store: Store, second: Store) -> None:
        """Every field survives, in another handle too."""
        new = wish(metadata={"a": [1, None, "é\x00"]}, priority=7)
        job, made = await store.create(new)
        assert made
        assert job.status == "queued"
        assert (job.input, job.metadata, job.priority) == (QUESTION, {"a": [1, None, "é\x00"]}, 7)
        assert (job.created_at, job.last_seq, job.attempt) == (new.created_at, 1, 0)
        assert job.deadline_at.timestamp() == pytest.approx(new.created.deadline_at, abs=1e-5)
        assert await second.get("acme", job.id) == job
        (first,) = await second.read(job.id)
        assert (first.seq, first.event, first.at, first.fence) == (1, new.created, new.created_at, 0)

    async def test_another_tenants_job_is_like_none(self, store: Store) -> None:
        """In every method that takes a tenant."""
        job = await create(store)
        answers = set()
        for tenant, job_id in (("other", job.id), ("acme", new_id("job")), ("acme", "job_\x00"), ("acme", "../\ud800")):
            for call in (
                store.get(tenant, job_id),
                store.delete(tenant, job_id),
                store.post(tenant, job_id, Letter("cancel")),
            ):
                with pytest.raises(NotFound) as caught:
                    await call
                answers.add((caught.value.code, caught.value.field, caught.value.message.replace(job_id, "ID")))
        assert len(answers) == 1
        assert (await store.get("acme", job.id)).status == "queued"
        assert await store.read("job_\x00") == []
        assert await store.claim("w", lease_seconds=LEASE, job_id="job_\x00") == []

    async def test_an_idempotency_key_makes_one_job(self, store: Store, second: Store) -> None:
        """Same key and body: the first job, whatever became of it; other body: Conflict; other tenant: another job."""
        job, _ = await store.create(wish(idempotency_key="k", request_digest="d1"))
        await end(store, job)
        again, made = await second.create(wish(idempotency_key="k", request_digest="d1"))
        assert (again.id, again.status, made) == (job.id, "completed", False)
        with pytest.raises(Conflict) as caught:
            await store.create(wish(idempotency_key="k", request_digest="d2"))
        assert caught.value.code == "idempotency_key_reused"
        other, made = await store.create(wish("other", idempotency_key="k", request_digest="d2"))
        assert made
        assert other.id != job.id

    async def test_one_key_at_once_makes_one_job(self, store: Store, second: Store) -> None:
        """Many creators with one key, over two handles; then all see the same job."""
        creators = [
            handle.create(wish(idempotency_key="k", request_digest="d")) for handle in (store, second) for _ in range(8)
        ]
        results = await asyncio.gather(*creators)
        assert len({job.id for job, _ in results}) == 1
        assert sum(made for _, made in results) == 1
        assert len((await store.list("acme")).jobs) == 1

    async def test_a_deleted_jobs_key_is_free(self, store: Store) -> None:
        """Everything about the job goes with it."""
        job, _ = await store.create(wish(idempotency_key="k", request_digest="d"))
        await store.delete("acme", job.id)
        _, made = await store.create(wish(idempotency_key="k", request_digest="other"))
        assert made

    async def test_delete_under_a_holder(self, store: Store, second: Store) -> None:
        """The holder's next append fails, its letters are gone, nothing of the job is left."""
        job = await create(store)
        (claim,) = await store.claim("w", lease_seconds=LEASE)
        await store.post("acme", job.id, Letter("cancel"))
        await second.delete("acme", job.id)
        with pytest.raises(LeaseLost):
            await store.append(job.id, fence=claim.fence, expected_seq=2, attempt=1, at=now(), events=[started()])
        with pytest.raises(LeaseLost):
            await store.drain(job.id, claim.fence)
        renewal = await store.renew([(job.id, claim.fence)], lease_seconds=LEASE)
        assert renewal.lost == {job.id}
        await store.release(job.id, claim.fence)
        assert await store.read(job.id) == []
        assert (await store.list("acme")).jobs == []
        with pytest.raises(NotFound):
            await store.delete("acme", job.id)

    async def test_delete_against_a_writing_holder(self, store: Store, second: Store) -> None:
        """Whichever comes first, no event outlives its job."""
        for _ in range(5):
            job = await create(store)
            (claim,) = await store.claim("w", lease_seconds=LEASE, job_id=job.id)

            async def write(job_id: str = job.id, fence: int = claim.fence) -> None:
                for seq in range(2, 100_000):
                    await store.append(job_id, fence=fence, expected_seq=seq, attempt=1, at=now(), events=[tool(seq)])
                    await asyncio.sleep(0)

            writing = asyncio.create_task(write())
            await eventually(partial(second.read, job.id, after=1))
            await second.delete("acme", job.id)
            with pytest.raises(LeaseLost):
                await writing
            assert await second.read(job.id) == []

    async def test_purge_takes_what_ended_before(self, store: Store) -> None:
        """Open jobs and later ends stay."""
        old, fresh, opened = [await create(store) for _ in range(3)]
        instant = now()
        await end(store, old, at=instant - timedelta(days=2))
        await end(store, fresh, at=instant)
        assert await store.purge(ended_before=instant - timedelta(days=1)) == 1
        assert {job.id for job in (await store.list("acme")).jobs} == {fresh.id, opened.id}
        assert await store.read(old.id) == []
        assert await store.purge(ended_before=instant - timedelta(days=1)) == 0

    async def test_closed_twice(self, store: Store) -> None:
        """No error; what is asked of it afterwards fails by a code, and does not hang."""
        await create(store)
        await store.aclose()
        await store.aclose()
        with pytest.raises(BoundaryError) as caught:
            await store.list("acme")
        assert caught.value.code == "store_closed"
        with pytest.raises(BoundaryError):
            await store.create(wish())
