"""The journal of one held job: read in pages, appended under the lease, kept trying while the store is away.

Owns: the next sequence number, the instant of a batch, and what an append does when the store does not answer.
Refuses to know: the machine, effects. Below: the store's `Journal` and the bell that followers wait on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from literesearcher.errors import BoundaryError, SequenceConflict, UnfoldableEvent
from literesearcher.jobs.live import Live, journal_topic
from literesearcher.jobs.model import Envelope
from literesearcher.jobs.ports import Journal
from literesearcher.jobs.spending import NO_LIMIT, Budget
from literesearcher.orchestrator.lease import Lease
from literesearcher.research.events import Event, ToolCompleted
from literesearcher.timing.clock import Clock
from literesearcher.timing.retry import RetryPolicy, retrying

PAGE = 200
"""Events read at once: some megabytes of a long job, so that 300 resumed jobs do not hold them all at once."""
PATIENCE = RetryPolicy(tries=1_000_000, first_seconds=0.1, factor=2.0, max_seconds=3.0)
"""The end of the lease is what ends it."""


class JobJournal:
    """Reads and appends as the lease's holder."""

    def __init__(self, *, store: Journal, live: Live, clock: Clock, lease: Lease, budget: Budget = NO_LIMIT) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._lease = lease
        self._budget = budget
        self._last_at: datetime | None = None
        self.next_seq = 1

    async def replay(self) -> AsyncIterator[tuple[int, float, Event]]:
        """Every event so far as (seq, unix seconds, event). `UnfoldableEvent` where this program cannot read one."""
        while True:
            page = await self._store.read(self._lease.job_id, after=self.next_seq - 1, limit=PAGE)
            for envelope in page:
                if envelope.event is None:
                    raise UnfoldableEvent(f"event {envelope.type} version {envelope.version} is a newer program's")
                self.next_seq = envelope.seq + 1
                self._last_at = envelope.at
                yield envelope.seq, envelope.at.timestamp(), envelope.event
            if len(page) < PAGE:
                return

    async def tool_event(self, seq: int) -> ToolCompleted:
        """A result that is journalled."""
        (envelope,) = await self._store.read(self._lease.job_id, after=seq - 1, limit=1)
        assert isinstance(envelope.event, ToolCompleted)
        return envelope.event

    def instant(self) -> datetime:
        """The instant of the next batch: now, but never before what is journalled (clocks of hosts differ)."""
        now = self._clock.now()
        return now if self._last_at is None else max(now, self._last_at)

    async def append(self, events: Sequence[Event], *, at: datetime) -> None:
        """Append in one transaction and wake the followers.

        A store that is away or full is asked again as long as the lease holds; then its error is raised, and nothing
        is lost but the work since the last append. `LeaseLost`, `SequenceConflict`, `BudgetSpent` as the store says.
        """
        tried = 0

        async def append_once() -> None:
            nonlocal tried
            tried += 1
            try:
                await self._store.append(
                    self._lease.job_id,
                    fence=self._lease.fence,
                    expected_seq=self.next_seq,
                    attempt=self._lease.attempt,
                    at=at,
                    events=events,
                    budget=self._budget,
                )
            except SequenceConflict:
                # The connection may have died between the commit and its answer: then these rows are ours.
                if tried == 1 or not await self._written(events):
                    raise
            except BoundaryError as error:
                if error.code == "store_full":
                    raise BoundaryError(error.message, code=error.code, transient=True) from error
                raise

        while True:
            until = self._lease.until
            try:
                await retrying(append_once, policy=PATIENCE, clock=self._clock, deadline=until)
                break
            except BoundaryError as error:
                if not error.transient or self._lease.until <= until:
                    raise
        self.next_seq += len(events)
        self._last_at = at
        await self._live.ring(journal_topic(self._lease.job_id))

    async def _written(self, events: Sequence[Event]) -> bool:
        rows: list[Envelope] = await self._store.read(self._lease.job_id, after=self.next_seq - 1)
        return [(row.fence, row.event) for row in rows] == [(self._lease.fence, event) for event in events]
