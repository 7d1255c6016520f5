"""Jobs as their tenants see them, in memory: a part of the twin of the job store.

Owns: creation, idempotency, pages, removal. Refuses to know: leases and journals (`memory_store`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from literesearcher.errors import CallerError, Conflict, NotFound
from literesearcher.jobs import lifecycle, pages
from literesearcher.jobs.ids import new_id
from literesearcher.jobs.model import EVERY_JOB, Job, JobFilter, JobPage, NewJob
from literesearcher.jobs.spending import NO_LIMIT, Budget
from literesearcher.testing.memory_keys import MemoryKeys
from literesearcher.testing.memory_ledger import MemoryLedger
from literesearcher.testing.memory_record import Record, age, envelope
from literesearcher.timing.clock import Clock, SystemClock

IDEMPOTENCY = timedelta(hours=24)


@dataclass
class _Used:
    job_id: str
    digest: str | None
    at: datetime


def _is_within(job: Job, only: JobFilter) -> bool:
    return (
        only.status in (None, job.status)
        and (only.created_from is None or job.created_at >= only.created_from)
        and (only.created_before is None or job.created_at < only.created_before)
    )


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _ascii_lower(text: str) -> str:
    return text.translate(_LOWER)


class MemoryJobs(MemoryKeys):
    """`jobs.ports.Jobs` in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock or SystemClock())
        self._records: dict[str, Record] = {}
        self._used: dict[tuple[str, str], _Used] = {}
        self._ledger = MemoryLedger()

    async def create(
        self, new: NewJob, *, budget: Budget = NO_LIMIT, refusal: CallerError | None = None
    ) -> tuple[Job, bool]:
        """The job and True, or the job that its idempotency key made before and False."""
        self._check_open()
        now = self._clock.now()
        if new.idempotency_key is not None:
            used = self._used.get((new.tenant_id, new.idempotency_key))
            if used is not None and used.at > now - IDEMPOTENCY:
                if used.digest != new.request_digest:
                    raise Conflict("the key was used with another body", code="idempotency_key_reused")
                return self._records[used.job_id].job, False
        if refusal is not None:
            raise refusal
        self._ledger.admit(new.tenant_id, budget=budget, at=new.created_at)
        job = lifecycle.created_job(new, new_id("job"))
        record = self._records[job.id] = Record(job)
        record.journal = [envelope(job.id, 1, new.created_at, 0, 0, new.created)]
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
        self, tenant_id: str, *, only: JobFilter = EVERY_JOB, cursor: str | None = None, limit: int = 20
    ) -> JobPage:
        """Newest first."""
        self._check_open()
        after = None if cursor is None else pages.decode_cursor(cursor)
        limit = pages.checked_limit(limit)
        text = pages.checked_text(only.text)
        found = sorted(
            (
                record.job
                for record in self._records.values()
                if record.job.tenant_id == tenant_id and _is_within(record.job, only)
            ),
            key=age,
            reverse=True,
        )
        if after is not None:
            found = [job for job in found if age(job) < after]
        stopped = None
        if text is not None:
            stopped = age(found[pages.LOOKED_THROUGH - 1]) if len(found) > pages.LOOKED_THROUGH else None
            found = [job for job in found[: pages.LOOKED_THROUGH] if _ascii_lower(text) in _ascii_lower(job.input)]
        following = age(found[limit - 1]) if len(found) > limit else stopped
        return JobPage(found[:limit], None if following is None else pages.encode_cursor(*following))

    def _own(self, tenant_id: str, job_id: str) -> Record:
        self._check_open()
        record = self._records.get(job_id)
        if record is None or record.job.tenant_id != tenant_id:
            raise NotFound(f"there is no job {job_id}", field="id")
        return record

    def _remove(self, job_id: str) -> None:
        del self._records[job_id]
        self._used = {name: used for name, used in self._used.items() if used.job_id != job_id}
