"""A claim on a job, and the smallest engine and store that can be told what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from literesearcher.errors import LeaseLost, SequenceConflict
from literesearcher.jobs.model import Claim, Envelope, Job
from literesearcher.jobs.spending import NO_LIMIT, Budget
from literesearcher.orchestrator.lease import Lease
from literesearcher.research.events import Event
from literesearcher.testing.manual_clock import ManualClock


class JournalRows:
    """The journal of one job in a list. `trouble` holds what the next appends raise, before or after they commit."""

    def __init__(self, fence: int = 1) -> None:
        self.fence = fence
        self.rows: list[Envelope] = []
        self.trouble: list[tuple[str, Exception]] = []
        self.appends = 0
        self.reads: list[int] = []

    async def append(
        self,
        job_id: str,
        *,
        fence: int,
        expected_seq: int,
        attempt: int,
        at: datetime,
        events: Sequence[Event],
        budget: Budget = NO_LIMIT,
    ) -> list[Envelope]:
        self.appends += 1
        when, error = self.trouble.pop(0) if self.trouble else ("never", None)
        if when == "before" and error is not None:
            raise error
        if fence != self.fence:
            raise LeaseLost("stale fence")
        if expected_seq != len(self.rows) + 1:
            raise SequenceConflict("stale number")
        new = [
            Envelope(job_id, expected_seq + i, event.type, event.version, at, attempt, fence, event, {})
            for i, event in enumerate(events)
        ]
        self.rows += new
        if when == "after" and error is not None:
            raise error
        return new

    async def read(self, job_id: str, *, after: int = 0, limit: int | None = None) -> list[Envelope]:
        self.reads.append(after)
        rows = self.rows[after:]
        return rows if limit is None else rows[:limit]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def rows() -> JournalRows:
    return JournalRows()


@pytest.fixture
def lease(clock: ManualClock) -> Callable[..., Lease]:
    def make(**fields: Any) -> Lease:
        values: dict[str, Any] = {
            "id": "job_1",
            "tenant_id": "default",
            "status": "running",
            "input": "q",
            "created_at": clock.now(),
            "deadline_at": clock.now() + timedelta(seconds=1000),
        }
        return Lease(Claim(Job(**values | fields), fence=1, attempt=1), until=clock.monotonic() + 30)

    return make
