"""The store's contract, second part: claims, leases, fences, fairness. Part of `testing.contracts.store`."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from literesearcher.errors import LeaseLost
from literesearcher.jobs.model import SUPPORTED_SCHEMA, Claim, Letter
from literesearcher.jobs.ports import Store
from literesearcher.testing.contracts.store_jobs import LEASE, create, end, eventually, now, started, tool

SHORT = 0.2
"""Seconds of a lease that is meant to run out."""


class QueueContract:
    """`store` and `second` are fixtures of the subclass."""

    async def test_a_claim_gives_the_next_fence_and_attempt(self, store: Store) -> None:
        """And nobody else gets the job meanwhile; a lease alone does not make it running."""
        job = await create(store)
        (claim,) = await store.claim("w", lease_seconds=LEASE, limit=5)
        assert (claim.job.id, claim.fence, claim.attempt, claim.job.status) == (job.id, 1, 1, "queued")
        assert await store.claim("v", lease_seconds=LEASE, limit=5) == []
        assert await store.claim("v", lease_seconds=LEASE, job_id=job.id) == []
        await store.append(job.id, fence=1, expected_seq=2, attempt=1, at=now(), events=[started()])
        running = await store.get("acme", job.id)
        assert (running.status, running.attempt) == ("running", 1)
        assert running.started_at is not None

    async def test_an_empty_queue(self, store: Store) -> None:
        """No jobs, no error."""
        assert await store.claim("w", lease_seconds=LEASE, limit=5) == []
        assert await store.claim("w", lease_seconds=LEASE, limit=0) == []
        backlog = await store.backlog()
        assert (backlog.queued, backlog.running, backlog.oldest_seconds) == (0, 0, 0.0)

    async def test_priority_then_fairness_then_age(self, store: Store) -> None:
        """One claim of many and many claims of one give the same order."""
        at = now() - timedelta(minutes=1)

        async def fill(prefix: str) -> list[str]:
            names = ["a1", "a2", "a3", "b1", "c1", "a-urgent", "b-late"]
            tenants = ["a", "a", "a", "b", "c", "a", "b"]
            jobs = {}
            for index, (name, tenant) in enumerate(zip(names, tenants, strict=True)):
                priority = 5 if name == "a-urgent" else -5 if name == "b-late" else 0
                job = await create(store, prefix + tenant, at=at + timedelta(seconds=index), priority=priority)
                jobs[job.id] = name
            claims: list[Claim] = []
            if prefix == "one-":
                while claim := await store.claim("w", lease_seconds=LEASE):
                    claims += claim
            else:
                claims = await store.claim("w", lease_seconds=LEASE, limit=20)
            return [jobs[claim.job.id] for claim in claims]

        # a holds the urgent one, so b and c come before a1; then a1 (a has 1, b and c have 1 each).
        expected = ["a-urgent", "b1", "c1", "a1", "a2", "a3", "b-late"]
        assert await fill("one-") == expected
        assert await fill("many-") == expected

    async def test_a_big_tenant_does_not_starve_a_small_one(self, store: Store) -> None:
        """However deep the queue of the one is."""
        for _ in range(60):
            await create(store, "big")
        small = await create(store, "small")
        claims = await store.claim("w", lease_seconds=LEASE, limit=2)
        assert {claim.job.tenant_id for claim in claims} == {"big", "small"}
        assert small.id in {claim.job.id for claim in claims}

    async def test_many_claimers_share_without_overlap(self, store: Store, second: Store) -> None:
        """Each job goes to exactly one, and all go."""
        jobs = {(await create(store, f"t{index % 3}")).id for index in range(40)}

        async def take(handle: Store, worker: str) -> list[str]:
            taken = []
            while claims := await handle.claim(worker, lease_seconds=LEASE, limit=3):
                taken += [claim.job.id for claim in claims]
            return taken

        taken = await asyncio.gather(*(take(handle, f"w{n}") for n, handle in enumerate([store, second] * 3)))
        rest = [claim.job.id for claim in await store.claim("last", lease_seconds=LEASE, limit=100)]
        everything = [job for part in taken for job in part] + rest
        assert sorted(everything) == sorted(jobs)

    async def test_takeover_after_the_lease_ran_out(self, store: Store, second: Store) -> None:
        """The old holder can neither append, drain nor renew; the new one goes on where the journal ends."""
        job = await create(store)
        (old,) = await store.claim("w1", lease_seconds=SHORT)
        await store.append(job.id, fence=old.fence, expected_seq=2, attempt=1, at=now(), events=[started()])
        (new,) = await eventually(lambda: second.claim("w2", lease_seconds=LEASE))
        assert (new.job.id, new.fence, new.attempt, new.job.last_seq) == (job.id, 2, 2, 2)
        with pytest.raises(LeaseLost):
            await store.append(job.id, fence=old.fence, expected_seq=3, attempt=1, at=now(), events=[tool(1)])
        with pytest.raises(LeaseLost):
            await store.drain(job.id, old.fence)
        assert (await store.renew([(job.id, old.fence)], lease_seconds=LEASE)).lost == {job.id}
        await store.release(job.id, old.fence)
        await second.append(job.id, fence=new.fence, expected_seq=3, attempt=2, at=now(), events=[tool(1)])
        journal = await store.read(job.id)
        assert [(row.seq, row.fence, row.attempt) for row in journal] == [(1, 0, 0), (2, 1, 1), (3, 2, 2)]

    async def test_a_lease_that_ran_out_is_lost_though_nobody_took_it(self, store: Store) -> None:
        """Its holder may not write: someone may be taking the job over right now."""
        job = await create(store)
        (claim,) = await store.claim("w", lease_seconds=SHORT)

        async def lost() -> bool:
            renewal = await store.renew([(job.id, claim.fence)], lease_seconds=0.001)
            return job.id in renewal.lost

        await eventually(lost)
        with pytest.raises(LeaseLost):
            await store.append(job.id, fence=claim.fence, expected_seq=2, attempt=1, at=now(), events=[started()])
        assert len(await store.read(job.id)) == 1

    async def test_renewal_keeps_a_lease(self, store: Store, second: Store) -> None:
        """Far beyond its first length; only what is held is renewed."""
        held, foreign = await create(store, "a"), await create(store, "b")
        (claim,) = await store.claim("w", lease_seconds=LEASE / 60, job_id=held.id)
        (other,) = await store.claim("v", lease_seconds=LEASE, job_id=foreign.id)
        renewal = await store.renew([(held.id, claim.fence), (foreign.id, other.fence + 1)], lease_seconds=LEASE)
        assert renewal.lost == {foreign.id}
        assert renewal.letters == frozenset()
        assert await store.renew([], lease_seconds=LEASE) == type(renewal)()
        # A job that was made and taken over after the first lease ran out shows that its time has passed.
        short = await create(store, "c")
        await store.claim("w", lease_seconds=LEASE / 60, job_id=short.id)
        await eventually(lambda: second.claim("x", lease_seconds=LEASE, job_id=short.id))
        assert await second.claim("x", lease_seconds=LEASE, limit=10) == []

    async def test_release_hands_back_at_once(self, store: Store) -> None:
        """A running job is queued again; the old fence is worth nothing, also before the next claim."""
        job = await create(store)
        (claim,) = await store.claim("w", lease_seconds=LEASE)
        await store.append(job.id, fence=claim.fence, expected_seq=2, attempt=1, at=now(), events=[started()])
        await store.release(job.id, claim.fence)
        assert (await store.get("acme", job.id)).status == "queued"
        with pytest.raises(LeaseLost):
            await store.append(job.id, fence=claim.fence, expected_seq=3, attempt=1, at=now(), events=[tool(1)])
        (again,) = await store.claim("w", lease_seconds=LEASE)
        assert (again.fence, again.attempt) == (2, 2)
        await store.release(job.id, claim.fence)
        assert await store.claim("w", lease_seconds=LEASE) == []

    async def test_a_job_for_a_newer_program_stays_in_the_queue(self, store: Store) -> None:
        """It is passed over, also by name, and still counts."""
        job = await create(store)
        (claim,) = await store.claim("w", lease_seconds=LEASE)
        await store.release(job.id, claim.fence, requires_schema=SUPPORTED_SCHEMA + 1)
        assert await store.claim("w", lease_seconds=LEASE) == []
        assert await store.claim("w", lease_seconds=LEASE, job_id=job.id) == []
        assert (await store.backlog()).queued == 1

    async def test_a_cancelling_job_that_nobody_holds_is_claimable(self, store: Store) -> None:
        """So that it gets ended; handing it back keeps it cancelling."""
        job = await create(store)
        assert (await store.post("acme", job.id, Letter("cancel"))).status == "cancelling"
        (claim,) = await store.claim("w", lease_seconds=LEASE)
        assert claim.job.status == "cancelling"
        await store.append(job.id, fence=claim.fence, expected_seq=2, attempt=1, at=now(), events=[started()])
        assert (await store.get("acme", job.id)).status == "cancelling"
        await store.release(job.id, claim.fence)
        assert (await store.get("acme", job.id)).status == "cancelling"

    async def test_an_ended_job_is_never_claimed(self, store: Store) -> None:
        """Not by name, and a release after the end changes nothing."""
        job = await create(store)
        await end(store, job)
        await store.release(job.id, 1)
        assert await store.claim("w", lease_seconds=LEASE, job_id=job.id) == []
        assert await store.claim("w", lease_seconds=LEASE) == []
        assert (await store.get("acme", job.id)).status == "completed"

    async def test_backlog_counts(self, store: Store) -> None:
        """What waits, what is held, and how old the oldest that waits is."""
        await create(store, at=now() - timedelta(seconds=100))
        await create(store, "other", at=now() - timedelta(seconds=50))
        await create(store, "third")
        await end(store, await create(store, "fourth"))
        await store.claim("w", lease_seconds=LEASE)
        backlog = await store.backlog()
        assert (backlog.queued, backlog.running) == (2, 1)
        assert 45 < backlog.oldest_seconds < 95
