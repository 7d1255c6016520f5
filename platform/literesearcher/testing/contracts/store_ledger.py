"""The store's contract: what tenants spend on tools, and ends without a journal. Part of `testing.contracts.store`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from literesearcher.errors import BudgetSpent, LeaseLost, SequenceConflict
from literesearcher.jobs.model import Claim
from literesearcher.jobs.ports import Store
from literesearcher.jobs.spending import NO_LIMIT, Budget, Spend
from literesearcher.research.events import Event, ToolCompleted, ToolStarted
from literesearcher.testing.contracts.store_jobs import LEASE, create, ended, started, wish

NIGHT = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
MORNING = datetime(2026, 3, 2, 0, 0, 1, tzinfo=UTC)
DAY = "2026-03-01"


def intent(usd: float = 0.001) -> ToolStarted:
    """A call that may cost so much."""
    return ToolStarted(1, "search", {"query": ["q"]}, usd)


def result(usd: float, reserved: float = 0.001, day: str = DAY) -> ToolCompleted:
    """What it did cost."""
    return ToolCompleted(1, "search", {}, "t", cost_usd=usd, reserved_usd=reserved, reserved_on=day)


class Holder:
    """A claimed job and the next number of its journal."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self.store = store
        self.claim = claim
        self.next_seq = claim.job.last_seq + 1

    async def append(self, *events: Event, at: datetime = NIGHT, budget: Budget = NO_LIMIT) -> None:
        """Append as the holder."""
        claim = self.claim
        await self.store.append(
            claim.job.id,
            fence=claim.fence,
            expected_seq=self.next_seq,
            attempt=claim.attempt,
            at=at,
            events=events,
            budget=budget,
        )
        self.next_seq += len(events)


async def held(store: Store, tenant: str = "acme") -> Holder:
    """A fresh job of the tenant, claimed."""
    job = await create(store, tenant, at=NIGHT)
    (claim,) = await store.claim("w", lease_seconds=LEASE, job_id=job.id)
    return Holder(store, claim)


class LedgerContract:
    """`store` and `second` are fixtures of the subclass."""

    async def test_an_intent_counts_and_its_result_settles_it(self, store: Store, second: Store) -> None:
        """On the day of the intent, also where the result comes a day later; each tenant apart."""
        mine, other = await held(store), await held(store, "other")
        await mine.append(started(), intent(0.25))
        assert await second.spent("acme", DAY) == Spend(1, 250_000)
        await mine.append(result(0.1, 0.25), at=MORNING)
        assert await second.spent("acme", DAY) == Spend(1, 100_000)
        await mine.append(intent(0.5), at=MORNING)
        await other.append(started(), intent(0.000001))
        assert await store.spent("acme", "2026-03-02") == Spend(1, 500_000)
        assert await store.spent("acme", DAY) == Spend(1, 100_000)
        assert await store.spent("other", DAY) == Spend(1, 1)
        assert await store.spent("nobody", DAY) == Spend()

    async def test_what_is_not_appended_is_not_spent(self, store: Store) -> None:
        """A stale fence, a wrong number, a replay after an append that went through."""
        job = await held(store)
        await job.append(started(), intent())
        job.next_seq -= 1
        with pytest.raises(SequenceConflict):
            await job.append(intent())
        await store.release(job.claim.job.id, job.claim.fence)
        job.next_seq += 1
        with pytest.raises(LeaseLost):
            await job.append(result(0.0))
        assert await store.spent("acme", DAY) == Spend(1, 1_000)

    @pytest.mark.parametrize(
        ("budget", "before"),
        [
            (Budget(calls_per_day=0), 0),
            (Budget(calls_per_day=2), 2),
            (Budget(usd_per_day=0.0), 0),
            (Budget(usd_per_day=0.0029), 2),
            (Budget(usd_per_day=0.003), 3),
            (Budget(calls_per_day=9, usd_per_day=0.001), 1),
        ],
    )
    async def test_a_charge_that_passes_the_budget(self, store: Store, budget: Budget, before: int) -> None:
        """Nothing of its append is written, and what costs less may still go on."""
        job = await held(store)
        await job.append(started())
        for _ in range(before):
            await job.append(intent(), result(0.001), budget=budget)
        with pytest.raises(BudgetSpent) as caught:
            await job.append(result(0.001), intent(), at=NIGHT, budget=budget)
        assert caught.value.retry_after == 1.0
        assert await store.spent("acme", DAY) == Spend(before, before * 1_000)
        assert len(await store.read(job.claim.job.id)) == 2 + 2 * before
        await job.append(intent(), at=MORNING)
        if budget.calls_per_day is None:
            await job.append(intent(0.0), budget=budget)

    async def test_a_result_is_never_refused(self, store: Store) -> None:
        """Also where it cost more than it had reserved."""
        job = await held(store)
        budget = Budget(usd_per_day=0.001)
        await job.append(started(), intent(), budget=budget)
        await job.append(result(0.5), budget=budget)
        assert await store.spent("acme", DAY) == Spend(1, 500_000)

    async def test_many_jobs_at_once_pass_no_budget(self, store: Store, second: Store) -> None:
        """Over two handles: exactly as many calls go out as are allowed."""
        budget = Budget(calls_per_day=5)
        jobs = [await held(handle) for handle in (store, second) for _ in range(6)]
        for job in jobs:
            await job.append(started())
        outcomes = await asyncio.gather(*(job.append(intent(), budget=budget) for job in jobs), return_exceptions=True)
        assert sum(outcome is None for outcome in outcomes) == 5
        assert sum(isinstance(outcome, BudgetSpent) for outcome in outcomes) == 7
        assert await store.spent("acme", DAY) == Spend(5, 5_000)

    async def test_a_job_is_taken_in_only_where_something_is_left(self, store: Store) -> None:
        """A job that an idempotency key made before is given all the same; a removed job's spending stays."""
        budget = Budget(usd_per_day=0.002)
        known, _ = await store.create(wish(at=NIGHT, idempotency_key="k", request_digest="d"), budget=budget)
        job = await held(store)
        await job.append(started(), intent(), budget=budget)
        await store.create(wish(at=NIGHT), budget=budget)
        await job.append(intent(), budget=budget)
        await store.delete("acme", job.claim.job.id)
        with pytest.raises(BudgetSpent):
            await store.create(wish(at=NIGHT, idempotency_key="new", request_digest="d"), budget=budget)
        again, made = await store.create(wish(at=NIGHT, idempotency_key="k", request_digest="d"), budget=budget)
        assert (again.id, made) == (known.id, False)
        _, made = await store.create(wish(at=MORNING, idempotency_key="new", request_digest="d"), budget=budget)
        assert made
        await store.create(wish("other", at=NIGHT), budget=budget)
        await store.create(wish("free", at=NIGHT), budget=Budget(usd_per_day=0.0))
        with pytest.raises(BudgetSpent):
            await store.create(wish("none", at=NIGHT), budget=Budget(calls_per_day=0))

    async def test_an_end_without_the_journal(self, store: Store, second: Store) -> None:
        """The row says how it ended, the journal is as it was, nobody holds it; only its holder can."""
        job = await held(store)
        await job.append(started())
        journal: Sequence[object] = await store.read(job.claim.job.id)
        with pytest.raises(LeaseLost):
            await second.end_unread(job.claim.job.id, job.claim.fence + 1, at=NIGHT, end=ended("internal_error", None))
        await second.end_unread(job.claim.job.id, job.claim.fence, at=NIGHT, end=ended("internal_error", None))
        found = await store.get("acme", job.claim.job.id)
        assert (found.status, found.stop_reason, found.ended_at) == ("failed", "internal_error", NIGHT)
        assert await store.read(found.id) == journal
        assert await store.claim("w", lease_seconds=LEASE, job_id=found.id) == []
        with pytest.raises(LeaseLost):
            await store.end_unread(found.id, job.claim.fence, at=NIGHT, end=ended())
