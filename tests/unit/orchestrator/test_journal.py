"""Appending under a lease while the store misbehaves."""

import asyncio
from datetime import timedelta

import pytest

from literesearcher.errors import BoundaryError, LeaseLost, SequenceConflict, UnfoldableEvent
from literesearcher.jobs.live import journal_topic
from literesearcher.orchestrator.journal import PAGE, JobJournal
from literesearcher.research.events import CancelRequested, DeadlineReached

AWAY = BoundaryError("no answer", code="store_unreachable", transient=True)
FULL = BoundaryError("disk is full", code="store_full")
CORRUPT = BoundaryError("not a database", code="store_corrupt")


class Bells:
    """What was rung."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    async def ring(self, topic: str) -> None:
        self.rung.append(topic)


@pytest.fixture
def journal(rows, clock, lease):
    return JobJournal(store=rows, live=Bells(), clock=clock, lease=lease())


async def replayed(journal):
    return [(seq, event) async for seq, _, event in journal.replay()]


@pytest.mark.parametrize("error", [AWAY, FULL])
async def test_a_store_that_is_away_or_full_is_asked_again(journal, rows, clock, error):
    rows.trouble = [("before", error)] * 4
    append = asyncio.create_task(journal.append([CancelRequested()], at=journal.instant()))
    await clock.advance(10)
    await append
    assert [row.seq for row in rows.rows] == [1]
    assert rows.appends == 5
    assert journal.next_seq == 2


async def test_a_store_that_stays_away_longer_than_the_lease_ends_the_holding(journal, rows, clock):
    rows.trouble = [("before", AWAY)] * 1000
    append = asyncio.create_task(journal.append([CancelRequested()], at=journal.instant()))
    await clock.advance(31)
    with pytest.raises(BoundaryError, match="no answer"):
        await append
    assert rows.rows == []


async def test_a_lease_renewed_meanwhile_keeps_it_trying(rows, clock, lease):
    held = lease()
    journal = JobJournal(store=rows, live=Bells(), clock=clock, lease=held)
    rows.trouble = [("before", FULL)] * 20
    append = asyncio.create_task(journal.append([CancelRequested()], at=journal.instant()))
    for _ in range(12):
        await clock.advance(10)
        held.until = clock.monotonic() + 30
    await append
    assert len(rows.rows) == 1


async def test_a_corrupt_store_is_not_asked_again(journal, rows):
    rows.trouble = [("before", CORRUPT)]
    with pytest.raises(BoundaryError, match="not a database"):
        await journal.append([CancelRequested()], at=journal.instant())
    assert rows.appends == 1


async def test_a_commit_whose_answer_was_lost_is_found_to_be_ours(journal, rows, clock):
    rows.trouble = [("after", AWAY)]
    events = [DeadlineReached(), CancelRequested("x")]
    append = asyncio.create_task(journal.append(events, at=journal.instant()))
    await clock.advance(5)
    await append
    assert [row.event for row in rows.rows] == events
    assert journal.next_seq == 3


async def test_rows_of_somebody_else_are_a_conflict_even_on_a_second_try(journal, rows, clock):
    rows.trouble = [("before", AWAY)]
    append = asyncio.create_task(journal.append([CancelRequested("mine")], at=journal.instant()))
    await asyncio.sleep(0)
    await rows.append("job_1", fence=1, expected_seq=1, attempt=1, at=clock.now(), events=[DeadlineReached()])
    await clock.advance(5)
    with pytest.raises(SequenceConflict):
        await append


async def test_a_stale_fence_is_raised_at_once(journal, rows):
    rows.fence = 2
    with pytest.raises(LeaseLost):
        await journal.append([CancelRequested()], at=journal.instant())
    assert rows.appends == 1


async def test_followers_are_woken(rows, clock, lease):
    live = Bells()
    journal = JobJournal(store=rows, live=live, clock=clock, lease=lease())
    await journal.append([CancelRequested()], at=journal.instant())
    assert live.rung == [journal_topic("job_1")]


async def test_a_long_journal_is_read_in_pages_without_gap(journal, rows, clock):
    count = 2 * PAGE + 3
    for n in range(count):
        await rows.append(
            "job_1", fence=1, expected_seq=n + 1, attempt=1, at=clock.now(), events=[CancelRequested(str(n))]
        )
    events = await replayed(journal)
    assert [seq for seq, _ in events] == list(range(1, count + 1))
    assert events[-1][1] == CancelRequested(str(count - 1))
    assert rows.reads == [0, PAGE, 2 * PAGE]
    assert journal.next_seq == count + 1


async def test_an_event_of_a_newer_program_stops_the_fold(journal, rows, clock):
    await rows.append("job_1", fence=1, expected_seq=1, attempt=1, at=clock.now(), events=[CancelRequested()])
    row = rows.rows[0]
    rows.rows[0] = type(row)(**{**{name: getattr(row, name) for name in row.__slots__}, "event": None})
    with pytest.raises(UnfoldableEvent):
        await replayed(journal)


async def test_instants_never_go_back_behind_the_journal(journal, rows, clock):
    ahead = clock.now() + timedelta(seconds=90)
    await rows.append("job_1", fence=1, expected_seq=1, attempt=1, at=ahead, events=[CancelRequested()])
    await replayed(journal)
    assert journal.instant() == ahead
    await clock.advance(100)
    assert journal.instant() == clock.now()
