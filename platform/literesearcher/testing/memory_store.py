"""The job store in memory: the twin of `jobs.sql_store`, for tests that need no database.

Owns: the same promises, held in dictionaries of one event loop; leases are judged by the clock it is given, so that a
test can let one run out without waiting. Refuses to know: SQL. Loses everything with the process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import orjson

from literesearcher.errors import LeaseLost, SequenceConflict
from literesearcher.jobs.line import EVEN, Line
from literesearcher.jobs.model import (
    ENDED,
    SUPPORTED_SCHEMA,
    Backlog,
    Claim,
    Envelope,
    Job,
    JobStatus,
    Letter,
    Renewal,
)
from literesearcher.jobs.spending import NO_LIMIT, Budget, Spend
from literesearcher.research.events import AttemptStarted, Event, JobEnded
from literesearcher.testing.memory_jobs import MemoryJobs
from literesearcher.testing.memory_line import memory_line
from literesearcher.testing.memory_record import Record, age, envelope


class MemoryStore(MemoryJobs):
    """`jobs.ports.Store` in memory."""

    async def claim(
        self,
        worker: str,
        *,
        lease_seconds: float,
        limit: int = 1,
        job_id: str | None = None,
        weights: Mapping[str, float] = EVEN,
    ) -> list[Claim]:
        """Take free jobs, or the one that is named."""
        self._check_open()
        claims: list[Claim] = []
        while len(claims) < limit:
            free = [
                record
                for record in self._records.values()
                if job_id in (None, record.job.id) and self._free(record) and record.requires_schema <= SUPPORTED_SCHEMA
            ]
            if not free:
                break
            record = min(free, key=lambda one: self._turn(one.job, weights))
            record.fence += 1
            record.lease_until = self._clock.now() + timedelta(seconds=lease_seconds)
            record.job = replace(record.job, attempt=record.job.attempt + 1)
            claims.append(Claim(record.job, record.fence, record.job.attempt))
        return claims

    async def renew(self, held: Sequence[tuple[str, int]], *, lease_seconds: float) -> Renewal:
        """Heartbeat."""
        self._check_open()
        kept = {job_id for job_id, fence in held if self._live(job_id, fence)}
        for job_id in kept:
            self._records[job_id].lease_until = self._clock.now() + timedelta(seconds=lease_seconds)
        return Renewal(
            lost=frozenset(job_id for job_id, _ in held if job_id not in kept),
            letters=frozenset(job_id for job_id in kept if self._records[job_id].unread),
        )

    async def release(self, job_id: str, fence: int, *, requires_schema: int | None = None) -> None:
        """Back into the queue; a stale fence is no error."""
        self._check_open()
        record = self._records.get(job_id)
        if record is None or record.fence != fence or record.job.status in ENDED:
            return
        record.lease_until = None
        record.requires_schema = requires_schema or record.requires_schema
        if record.job.status == "running":
            record.job = replace(record.job, status="queued")

    async def backlog(self) -> Backlog:
        """Counts over all tenants."""
        self._check_open()
        waiting = [record for record in self._records.values() if self._free(record)]
        opened = [record for record in self._records.values() if record.job.status not in ENDED]
        oldest = min((record.job.created_at for record in waiting), default=None)
        waited = 0.0 if oldest is None else (self._clock.now() - oldest).total_seconds()
        return Backlog(len(waiting), len(opened) - len(waiting), max(0.0, waited))

    async def line(self, tenant_id: str, *, priority: int, job: Job | None = None) -> Line:
        """What stands before a job."""
        self._check_open()
        return memory_line(self._records.values(), tenant_id, priority, job, free=self._free, now=self._clock.now())

    async def check(self) -> None:
        """It is never full."""
        await self.backlog()

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
        """Append all or nothing."""
        self._check_open()
        if not events:
            return []
        if not self._live(job_id, fence):
            raise LeaseLost(f"the lease on {job_id} is lost")
        record = self._records[job_id]
        if expected_seq != len(record.journal) + 1:
            raise SequenceConflict(f"the next event of {job_id} is number {len(record.journal) + 1}")
        new = [envelope(job_id, expected_seq + index, at, attempt, fence, event) for index, event in enumerate(events)]
        self._ledger.enter(record.job.tenant_id, events, budget=budget, at=at)
        record.journal.extend(new)
        record.job = replace(record.job, last_seq=len(record.journal))
        for event in events:
            if isinstance(event, AttemptStarted):
                status: JobStatus = "running" if record.job.status == "queued" else record.job.status
                record.job = replace(record.job, status=status, started_at=record.job.started_at or at)
            elif isinstance(event, JobEnded):
                record.end(event, at)
        return new

    async def end_unread(self, job_id: str, fence: int, *, at: datetime, end: JobEnded) -> None:
        """End the job, not its journal."""
        self._check_open()
        if not self._live(job_id, fence):
            raise LeaseLost(f"the lease on {job_id} is lost")
        self._records[job_id].end(end, at)

    async def spent(self, tenant_id: str, day: str) -> Spend:
        """What the ledger says."""
        self._check_open()
        return self._ledger.spent(tenant_id, day)

    async def read(self, job_id: str, *, after: int = 0, limit: int | None = None) -> list[Envelope]:
        """Events with seq > `after`."""
        self._check_open()
        record = self._records.get(job_id)
        if record is None:
            return []
        later = record.journal[max(after, 0) :]
        return later if limit is None else later[:limit]

    async def newest(self, job_id: str, event_type: str) -> Envelope | None:
        """The last event of that type."""
        found = [envelope for envelope in await self.read(job_id) if envelope.type == event_type]
        return found[-1] if found else None

    async def post(self, tenant_id: str, job_id: str, letter: Letter) -> Job:
        """Put a letter into the inbox."""
        record = self._own(tenant_id, job_id)
        if record.job.status not in ENDED:
            record.letters.append((Letter(letter.kind, orjson.loads(orjson.dumps(letter.body))), 0))
            if letter.kind == "cancel":
                record.job = replace(record.job, status="cancelling")
        return record.job

    async def drain(self, job_id: str, fence: int) -> list[Letter]:
        """Letters that this holder has not had."""
        self._check_open()
        if not self._live(job_id, fence):
            raise LeaseLost(f"the lease on {job_id} is lost")
        record = self._records[job_id]
        unread = record.unread
        record.letters = [(letter, fence) for letter, _ in record.letters]
        return unread

    def _free(self, record: Record) -> bool:
        if record.job.status in ENDED:
            return False
        return record.lease_until is None or record.lease_until <= self._clock.now()

    def _live(self, job_id: str, fence: int) -> bool:
        record = self._records.get(job_id)
        if record is None or record.fence != fence or record.lease_until is None:
            return False
        return record.lease_until > self._clock.now()

    def _turn(self, job: Job, weights: Mapping[str, float]) -> tuple[bool, int, float, float, str]:
        load = (self._leased(job.tenant_id) + 1) / weights.get(job.tenant_id, 1.0)
        return (job.started_at is None, -job.priority, load, *age(job))

    def _leased(self, tenant_id: str) -> int:
        opened = (record for record in self._records.values() if record.job.tenant_id == tenant_id)
        return sum(record.job.status not in ENDED and not self._free(record) for record in opened)
