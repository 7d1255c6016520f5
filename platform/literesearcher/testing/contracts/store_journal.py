"""The store's contract, third part: the journal and the inbox. Part of `testing.contracts.store`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from literesearcher.errors import LeaseLost, SequenceConflict
from literesearcher.jobs.ids import new_id
from literesearcher.jobs.model import Claim, Letter
from literesearcher.jobs.ports import Store
from literesearcher.research.events import STATUS_BY_STOP_REASON, AttemptStarted, Event, ToolCompleted
from literesearcher.testing.contracts.store_jobs import LEASE, create, end, ended, eventually, now, started, tool

SHORT = 0.2
BIG = "a page \x00 \u2028 with “quotes” and 漢字 " * 12_000


async def held(store: Store, tenant: str = "acme") -> Claim:
    """A fresh job under a lease."""
    job = await create(store, tenant)
    (claim,) = await store.claim("w", lease_seconds=LEASE, job_id=job.id)
    return claim


class JournalContract:
    """`store` and `second` are fixtures of the subclass."""

    async def test_what_is_appended_is_read(self, store: Store, second: Store) -> None:
        """Every field, big and odd text included, the same from another handle; `after` and `limit` cut it."""
        claim = await held(store)
        at = now()
        events: list[Event] = [started(), tool(1), ToolCompleted(1, "visit", {"url": ["u"]}, BIG, tokens=3)]
        written = await store.append(claim.job.id, fence=1, expected_seq=2, attempt=claim.attempt, at=at, events=events)
        assert [row.seq for row in written] == [2, 3, 4]
        journal = await second.read(claim.job.id)
        assert journal[1:] == written
        assert [row.event for row in journal[1:]] == events
        assert {(row.at, row.attempt, row.fence) for row in written} == {(at, 1, 1)}
        assert journal[3].payload["text"] == BIG
        assert await second.read(claim.job.id, after=2) == written[1:]
        assert await second.read(claim.job.id, after=1, limit=2) == written[:2]
        assert await second.read(claim.job.id, after=4) == []
        assert (await second.get("acme", claim.job.id)).last_seq == 4

    async def test_the_newest_event_of_a_type(self, store: Store, second: Store) -> None:
        """None where the type did not happen, or the job is not there."""
        claim = await held(store)
        assert await store.newest(claim.job.id, AttemptStarted.type) is None
        append: dict[str, Any] = {"fence": claim.fence, "attempt": 1, "at": now()}
        events: list[Event] = [started(), tool(1), started(), tool(2), tool(3)]
        written = await store.append(claim.job.id, expected_seq=2, events=events, **append)
        assert await second.newest(claim.job.id, AttemptStarted.type) == written[2]
        assert await second.newest(claim.job.id, tool(1).type) == written[4]
        for unknown in (new_id("job"), "job_\x00", ""):
            assert await store.newest(unknown, AttemptStarted.type) is None

    async def test_a_wrong_sequence_number_writes_nothing(self, store: Store) -> None:
        """Too low (a repeat), too high (a gap)."""
        claim = await held(store)
        append: dict[str, Any] = {"fence": claim.fence, "attempt": 1, "at": now()}
        await store.append(claim.job.id, expected_seq=2, events=[started()], **append)
        for wrong in (1, 2, 4, 0, -1):
            with pytest.raises(SequenceConflict):
                await store.append(claim.job.id, expected_seq=wrong, events=[tool(1), ended()], **append)
        assert [row.seq for row in await store.read(claim.job.id)] == [1, 2]
        assert (await store.get("acme", claim.job.id)).status == "running"

    async def test_a_stale_fence_outranks_a_wrong_number(self, store: Store) -> None:
        """A writer that lost the job must hear of that, whatever else is wrong."""
        claim = await held(store)
        for fence in (0, claim.fence + 1):
            with pytest.raises(LeaseLost):
                await store.append(claim.job.id, fence=fence, expected_seq=9, attempt=1, at=now(), events=[tool(1)])

    async def test_two_writers_under_one_lease(self, store: Store, second: Store) -> None:
        """Of appends with one number exactly one wins."""
        claim = await held(store)
        results = await asyncio.gather(
            *(
                handle.append(claim.job.id, fence=1, expected_seq=2, attempt=1, at=now(), events=[tool(n), tool(n)])
                for n, handle in enumerate([store, second] * 5)
            ),
            return_exceptions=True,
        )
        won = [result for result in results if isinstance(result, list)]
        lost = [result for result in results if isinstance(result, SequenceConflict)]
        assert (len(won), len(lost)) == (1, 9)
        assert (await store.read(claim.job.id))[1:] == won[0]

    async def test_many_jobs_at_once(self, store: Store) -> None:
        """One job's refused append takes no other's with it."""
        claims = [await held(store) for _ in range(30)]

        async def drive(claim: Claim) -> None:
            for seq in range(2, 12):
                await store.append(
                    claim.job.id, fence=claim.fence, expected_seq=seq, attempt=1, at=now(), events=[tool(seq)]
                )

        async def stale() -> None:
            for _ in range(20):
                with pytest.raises(LeaseLost):
                    await store.append(
                        claims[0].job.id, fence=99, expected_seq=2, attempt=1, at=now(), events=[tool(1)]
                    )

        await asyncio.gather(stale(), *map(drive, claims))
        for claim in claims:
            assert [row.seq for row in await store.read(claim.job.id)] == list(range(1, 12))

    @pytest.mark.parametrize("stop_reason", list(STATUS_BY_STOP_REASON))
    async def test_the_end_fills_the_job(self, store: Store, stop_reason: str) -> None:
        """Status, output, citations, usage; the lease is free and the journal closed."""
        job = await create(store)
        event = ended(stop_reason, None if stop_reason == "timeout" else "text\x00")  # type: ignore[arg-type]
        at = now()
        await end(store, job, event, at=at)
        after = await store.get("acme", job.id)
        assert (after.status, after.stop_reason) == (STATUS_BY_STOP_REASON[stop_reason], stop_reason)  # type: ignore[index]
        assert (after.output_text, after.citations, after.usage) == (event.output_text, event.citations, event.usage)
        assert (after.ended_at, after.last_seq) == (at, 3)
        with pytest.raises(LeaseLost):
            await store.append(job.id, fence=1, expected_seq=4, attempt=1, at=now(), events=[tool(1)])

    async def test_started_at_is_the_first_attempts(self, store: Store) -> None:
        """A second attempt does not move it."""
        claim = await held(store)
        first = now()
        await store.append(claim.job.id, fence=1, expected_seq=2, attempt=1, at=first, events=[started()])
        await store.release(claim.job.id, 1)
        await store.claim("w", lease_seconds=LEASE)
        later = first + timedelta(hours=1)
        await store.append(claim.job.id, fence=2, expected_seq=3, attempt=2, at=later, events=[started()])
        assert (await store.get("acme", claim.job.id)).started_at == first

    async def test_cancelled_in_mid_call(self, store: Store) -> None:
        """The append is in whole or not at all, and the store goes on."""
        claim = await held(store)
        for _ in range(30):
            seq = len(await store.read(claim.job.id)) + 1
            task = asyncio.create_task(
                store.append(
                    claim.job.id, fence=1, expected_seq=seq, attempt=1, at=now(), events=[tool(seq), tool(seq + 1)]
                )
            )
            for _ in range(seq % 7):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

            async def settled(seq: int = seq) -> bool:
                last = (await store.get("acme", claim.job.id)).last_seq
                return last in (seq - 1, seq + 1) and last == len(await store.read(claim.job.id))

            assert await eventually(settled)
        await end_held(store, claim)

    async def test_nothing_is_appended_to_nothing(self, store: Store) -> None:
        """An empty append, and a job that is not there."""
        claim = await held(store)
        append: dict[str, Any] = {"fence": 1, "expected_seq": 2, "attempt": 1, "at": now()}
        assert await store.append(claim.job.id, events=[], **append) == []
        with pytest.raises(LeaseLost):
            await store.append("job_" + "0" * 32, events=[tool(1)], **append)


async def end_held(store: Store, claim: Claim) -> None:
    """End a job whose lease is held."""
    seq = (await store.get(claim.job.tenant_id, claim.job.id)).last_seq + 1
    await store.append(claim.job.id, fence=claim.fence, expected_seq=seq, attempt=1, at=now(), events=[ended()])


class InboxContract:
    """`store` and `second` are fixtures of the subclass."""

    async def test_letters_reach_the_holder_once_in_order(self, store: Store, second: Store) -> None:
        """A heartbeat tells of them; drained, they are not told again."""
        claim = await held(store)
        for n in range(3):
            await second.post("acme", claim.job.id, Letter("steer", {"n": n, "text": "é\x00"}))
        renewal = await store.renew([(claim.job.id, claim.fence)], lease_seconds=LEASE)
        assert renewal.letters == {claim.job.id}
        letters = await store.drain(claim.job.id, claim.fence)
        assert letters == [Letter("steer", {"n": n, "text": "é\x00"}) for n in range(3)]
        assert await store.drain(claim.job.id, claim.fence) == []
        assert not (await store.renew([(claim.job.id, claim.fence)], lease_seconds=LEASE)).letters

    async def test_a_cancel_marks_the_job(self, store: Store) -> None:
        """Queued or running; once more changes nothing; another letter marks nothing."""
        claim = await held(store)
        assert (await store.post("acme", claim.job.id, Letter("steer"))).status == "queued"
        await store.append(claim.job.id, fence=1, expected_seq=2, attempt=1, at=now(), events=[started()])
        assert (await store.post("acme", claim.job.id, Letter("cancel", {"by": "me"}))).status == "cancelling"
        assert (await store.post("acme", claim.job.id, Letter("cancel"))).status == "cancelling"
        kinds = [letter.kind for letter in await store.drain(claim.job.id, 1)]
        assert kinds[:2] == ["steer", "cancel"]

    async def test_a_dead_holders_letters_come_to_the_next(self, store: Store) -> None:
        """It may have died between reading them and journalling what they asked for."""
        job = await create(store)
        (old,) = await store.claim("w", lease_seconds=SHORT)
        await store.post("acme", job.id, Letter("steer", {"n": 1}))
        await store.drain(job.id, old.fence)
        (new,) = await eventually(lambda: store.claim("v", lease_seconds=LEASE))
        assert (await store.renew([(job.id, new.fence)], lease_seconds=LEASE)).letters == {job.id}
        assert await store.drain(job.id, new.fence) == [Letter("steer", {"n": 1})]

    async def test_a_letter_to_an_ended_job_changes_nothing(self, store: Store) -> None:
        """It gives the job as it is."""
        job = await create(store)
        await end(store, job)
        assert await store.post("acme", job.id, Letter("cancel")) == await store.get("acme", job.id)

    async def test_a_cancel_against_the_end(self, store: Store, second: Store) -> None:
        """Whichever comes first, an ended job never turns back."""
        for _ in range(10):
            claim = await held(store)
            await asyncio.gather(
                store.append(claim.job.id, fence=claim.fence, expected_seq=2, attempt=1, at=now(), events=[ended()]),
                second.post("acme", claim.job.id, Letter("cancel")),
            )
            assert (await store.get("acme", claim.job.id)).status == "completed"
