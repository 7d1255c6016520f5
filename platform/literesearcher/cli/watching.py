"""Follows a job's journal as it grows, whoever drives the job, and the live text of its running turn.

Owns: reading on from where it was, waking by bell and by the clock. Refuses to know: what is shown. A bell may be
lost; the poll is what guarantees that every event is seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from literesearcher.jobs.live import Delta, Live, journal_topic
from literesearcher.jobs.model import Envelope
from literesearcher.jobs.ports import Store
from literesearcher.research.events import JobEnded

POLL_SECONDS = 0.5


async def follow_journal(store: Store, live: Live, job_id: str, *, after: int = 0) -> AsyncIterator[Envelope]:
    """Every event with a sequence number above `after`, in order, until the job has ended or is gone."""
    async with live.listen(journal_topic(job_id)) as bell:
        seen = after
        while True:
            for envelope in await store.read(job_id, after=seen):
                seen = envelope.seq
                yield envelope
                if envelope.type == JobEnded.type:
                    return
            if seen == after and not await store.read(job_id, limit=1):
                return
            await bell.wait(POLL_SECONDS)


async def follow_text(live: Live, job_id: str, show: Callable[[Delta], None]) -> None:
    """Hand over live text until cancelled. Following asks engines to stream; do it only where somebody looks."""
    async with live.follow(job_id) as deltas:
        async for delta in deltas:
            show(delta)
