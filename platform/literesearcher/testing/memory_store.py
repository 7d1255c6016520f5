"""The job store in memory: the twin of `jobs.sql_store`, for tests that need no database.

Owns: the same promises, held in dictionaries of one event loop; leases are judged by the clock it is given, so that a
test can let one run out without waiting. Refuses to know: SQL. Loses everything with the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from literesearcher.errors import Conflict, LeaseLost, NotFound, SequenceConflict
from literesearcher.jobs import lifecycle, pages
from literesearcher.jobs.ids import new_id
from literesearcher.jobs.model import (
    ENDED,
    SUPPORTED_SCHEMA,
    Backlog,
    Claim,
    Envelope,
    Job,
    JobPage,
    JobStatus,
    Letter,
    NewJob,
    Renewal,
)
from literesearcher.jobs.spending import NO_LIMIT, Budget, Spend
from literesearcher.research import codec
from literesearcher.research.events import AttemptStarted, Event, JobEnded
from literesearcher.testing.memory_keys import MemoryKeys
from literesearcher.testing.memory_ledger import MemoryLedger
from literesearcher.testing.memory_record import Record
from literesearcher.timing.clock import Clock, SystemClock

IDEMPOTENCY = timedelta(hours=24)


@dataclass
class _Used:
    job_id: str
    digest: str | None
    at: datetime


class MemoryJobs(MemoryKeys):
    """`jobs.ports.Jobs` in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock or SystemClock())
        self._records: dict[str, Record] = {}
        self._used: dict[tuple[str, str], _Used] = {}
        self._ledger = MemoryLedger()

    async def create(self, new: NewJob, *, budget: Budget = NO_LIMIT) -> tuple[Job, bool]:
        """The job and True, or the job that its idempotency key made before and False."""
        self._check_open()
        now = self._clock.now()
        if new.idempotency_key is not None:
            used = self._used.get((new.tenant_id, new.idempotency_key))
            if used is not None and used.at > now - IDEMPOTENCY:
                if used.digest != new.request_digest:
                    raise Conflict("the key was used with another body", code="idempotency_key_reused")
                return self._records[used.job_id].job, False
        self._ledger.admit(new.tenant_id, budget=budget, at=new.created_at)
        job = lifecycle.created_job(new, new_id("job"))
        record = self._records[job.id] = Record(job)
        record.journal = [_envelope(job.id, 1, new.created_at, 0, 0, new.created)]
        if new.idempotency_key is not None:
            self._used[new.tenant_id, new.idempotency_key] = _Used(job.id, new.request_digest, now)
        return job, True

    async def get(self, tenant_id: str, job_id: str) -> Job:
        """The job, or NotFound."""
        return self._own(tenant_id, job_id).job

    async def delete(self, tenant_id: str, job_id: str) -> None:
        """Its holder finds nothing to append to."""
        self._own(tenant_id, job_id)
        self._remove(job_id)

    async def purge(self, *, ended_before: datetime) -> int:
        """Remove what ended before."""
        self._check_open()
        ended = [
            job_id
            for job_id, record in self._records.items()
            if record.job.ended_at is not None and record.job.ended_at < ended_before
        ]
        for job_id in ended:
            self._remove(job_id)
        stale = self._clock.now() - IDEMPOTENCY
        self._used = {name: used for name, used in self._used.items() if used.at > stale}
        return len(ended)

    async def list(
        self, tenant_id: str, *, status: JobStatus | None = None, cursor: str | None = None, limit: int = 20
    ) -> JobPage:
        """Newest first."""
        self._check_open()
        after = None if cursor is None else pages.decode_cursor(cursor)
        limit = pages.checked_limit(limit)
        found = sorted(
            (
                record.job
                for record in self._records.values()
                if record.job.tenant_id == tenant_id and status in (None, record.job.status)
            ),
            key=_age,
            reverse=True,
        )
        if after is not None:
            found = [job for job in found if _age(job) < after]
        more = len(found) > limit
        return JobPage(found[:limit], pages.encode_cursor(*_age(found[limit - 1])) if more else None)

    def _own(self, tenant_id: str, job_id: str) -> Record:
        self._check_open()
        record = self._records.get(job_id)
        if record is None or record.job.tenant_id != tenant_id:
            raise NotFound(f"there is no job {job_id}", field="id")
        return record

    def _remove(self, job_id: str) -> None:
        del self._records[job_id]
        self._used = {name: used for name, used in self._used.items() if used.job_id != job_id}


class MemoryStore(MemoryJobs):
    """`jobs.ports.Store` in memory."""

    async def claim(
        self, worker: str, *, lease_seconds: float, limit: int = 1, job_id: str | None = None
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
            record = min(free, key=lambda one: (-one.job.priority, self._leased(one.job.tenant_id), *_age(one.job)))
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
        age = 0.0 if oldest is None else (self._clock.now() - oldest).total_seconds()
        return Backlog(len(waiting), len(opened) - len(waiting), max(0.0, age))

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
        new = [_envelope(job_id, expected_seq + index, at, attempt, fence, event) for index, event in enumerate(events)]
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

    def _leased(self, tenant_id: str) -> int:
        opened = (record for record in self._records.values() if record.job.tenant_id == tenant_id)
        return sum(record.job.status not in ENDED and not self._free(record) for record in opened)


def _age(job: Job) -> tuple[float, str]:
    return (job.created_at.timestamp(), job.id)


def _envelope(job_id: str, seq: int, at: datetime, attempt: int, fence: int, event: Event) -> Envelope:
    payload = orjson.loads(codec.encode(event))
    decoded = codec.decode(event.type, event.version, payload)
    return Envelope(job_id, seq, event.type, event.version, at, attempt, fence, decoded, payload)
