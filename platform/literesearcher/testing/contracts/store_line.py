"""The store's contract: whose turn it is, and what stands before whom. Part of `testing.contracts.store`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from literesearcher.errors import CallerError
from literesearcher.jobs.model import Job
from literesearcher.jobs.ports import Store
from literesearcher.testing.contracts.store_jobs import LEASE, create, end, now, started, wish

WEIGHTS = {"big": 3.0, "small": 0.5}


async def begin(store: Store, job: Job) -> None:
    """Claimed, run for a while, handed back."""
    (claim,) = await store.claim("w", lease_seconds=LEASE, job_id=job.id)
    await store.append(job.id, fence=claim.fence, expected_seq=2, attempt=1, at=now(), events=[started()])
    await store.release(job.id, claim.fence)


class LineContract:
    """`store` is a fixture of the subclass."""

    async def test_what_was_begun_goes_on_before_anything_starts(self, store: Store) -> None:
        """Before older jobs, higher priorities and other tenants' jobs; a claim without a beginning is none."""
        at = now() - timedelta(minutes=1)
        first = await create(store, "other", at=at, priority=50)
        begun = await create(store, "acme", at=at + timedelta(seconds=1), priority=-50)
        touched = await create(store, "acme", at=at + timedelta(seconds=2), priority=-50)
        await begin(store, begun)
        (claim,) = await store.claim("w", lease_seconds=LEASE, job_id=touched.id)
        await store.release(touched.id, claim.fence)
        order = [claim.job.id for claim in await store.claim("w", lease_seconds=LEASE, limit=5)]
        assert order == [begun.id, first.id, touched.id]

    async def test_a_begun_job_is_found_behind_a_long_queue(self, store: Store) -> None:
        """However many of the same tenant stand before it by age."""
        at = now() - timedelta(minutes=5)
        for index in range(60):
            await create(store, at=at + timedelta(seconds=index), priority=1)
        late = await create(store)
        await begin(store, late)
        (claim,) = await store.claim("w", lease_seconds=LEASE)
        assert claim.job.id == late.id

    async def test_tenants_share_by_weight(self, store: Store) -> None:
        """Three to one to a half, in one claim and in many, however long the queues are."""
        for tenant in ("big", "middle", "small"):
            for _ in range(12):
                await create(store, tenant)
        taken = await store.claim("w", lease_seconds=LEASE, limit=6, weights=WEIGHTS)
        for _ in range(3):
            taken += await store.claim("w", lease_seconds=LEASE, limit=1, weights=WEIGHTS)
        shares = {
            tenant: sum(claim.job.tenant_id == tenant for claim in taken) for tenant in ("big", "middle", "small")
        }
        assert shares == {"big": 6, "middle": 2, "small": 1}

    @pytest.mark.parametrize("weights", [{}, WEIGHTS])
    async def test_a_place_is_the_number_of_claims_before(self, store: Store, weights: dict[str, float]) -> None:
        """For every job that waits; ties between tenants count as ahead, so it may come earlier by one a tenant."""
        at = now() - timedelta(minutes=5)
        jobs = []
        for index, (tenant, priority) in enumerate(
            [("big", 0), ("big", 0), ("small", 0), ("big", 5), ("middle", 0), ("big", 0), ("small", -3), ("middle", 5)]
            * 2
        ):
            jobs.append(await create(store, tenant, at=at + timedelta(seconds=index), priority=priority))
        await begin(store, jobs[5])
        await store.claim("w", lease_seconds=LEASE, job_id=jobs[0].id)
        await store.claim("w", lease_seconds=LEASE, job_id=jobs[7].id)
        waiting = [await store.get(job.tenant_id, job.id) for job in jobs if job.id not in (jobs[0].id, jobs[7].id)]
        places = {}
        for job in waiting:
            line = await store.line(job.tenant_id, priority=job.priority, job=job)
            assert line.live == 2
            places[job.id] = line.ahead(weights)
        order = [claim.job.id for claim in await store.claim("w", lease_seconds=LEASE, limit=20, weights=weights)]
        assert set(order) == set(places)
        for before, job_id in enumerate(order):
            assert before <= places[job_id] <= before + 2, (before, places[job_id])

    async def test_a_job_that_would_come_now(self, store: Store) -> None:
        """It stands behind its tenant's own; an empty store has no line."""
        empty = await store.line("acme", priority=0)
        assert (empty.ahead(), empty.live, empty.start_seconds(), empty.refusal_seconds(0.0)) == (0, 0, None, None)
        await create(store, at=now() - timedelta(seconds=100))
        await create(store)
        line = await store.line("acme", priority=0)
        assert line.ahead() == 2
        assert 95 < line.head_seconds < 105
        assert (await store.line("acme", priority=1)).ahead() == 0
        assert (await store.line("acme", priority=-1)).ahead() == 2

    async def test_how_long_it_may_take(self, store: Store) -> None:
        """By what jobs of late took, and how many run; jobs that never started say nothing."""
        await end(store, await create(store))
        held = await create(store)
        await store.claim("w", lease_seconds=LEASE, job_id=held.id)
        waiting = await create(store, at=now() - timedelta(seconds=60))
        line = await store.line("acme", priority=0, job=waiting)
        assert (line.live, line.ahead()) == (1, 0)
        assert line.job_seconds is not None
        assert 0 <= line.job_seconds < 60
        assert line.start_seconds() == line.job_seconds

    async def test_a_refusal_makes_no_job_and_forgets_none(self, store: Store) -> None:
        """A known idempotency key gives its job all the same."""
        known, _ = await store.create(wish(idempotency_key="k", request_digest="d"))
        refusal = CallerError("no room")
        with pytest.raises(CallerError) as caught:
            await store.create(wish(idempotency_key="other", request_digest="d"), refusal=refusal)
        assert caught.value is refusal
        again, made = await store.create(wish(idempotency_key="k", request_digest="d"), refusal=refusal)
        assert (again.id, made) == (known.id, False)
        _, made = await store.create(wish(idempotency_key="other", request_digest="e"))
        assert made
        assert (await store.backlog()).queued == 2
