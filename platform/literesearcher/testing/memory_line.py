"""What stands before a job, counted one by one: a part of the in-memory twin of the job store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from literesearcher.jobs.line import Line, TenantLine
from literesearcher.jobs.model import ENDED, Job
from literesearcher.testing.memory_record import Record

RECENT = timedelta(hours=1)


def memory_line(
    records: Iterable[Record],
    tenant_id: str,
    priority: int,
    job: Job | None,
    *,
    free: Callable[[Record], bool],
    now: datetime,
) -> Line:
    """See `jobs.ports.Queue.line`."""
    everything = list(records)
    opened = [record for record in everything if record.job.status not in ENDED]
    begun = [record for record in opened if free(record) and record.job.started_at is not None]
    fresh = [record for record in opened if free(record) and record.job.started_at is None]
    tenants = {}
    for name in {record.job.tenant_id for record in opened}:
        theirs = [record.job for record in fresh if record.job.tenant_id == name]
        tenants[name] = TenantLine(
            held=sum(record.job.tenant_id == name and not free(record) for record in opened),
            first=sum(record.job.tenant_id == name for record in begun)
            + sum(one.priority > priority for one in theirs),
            same=sum(one.priority == priority for one in theirs),
        )
    own = [one.job for one in fresh if one.job.tenant_id == tenant_id and one.job.priority == priority]
    older = own if job is None else [one for one in own if (one.created_at, one.id) < (job.created_at, job.id)]
    took = [
        (record.job.ended_at - record.job.started_at).total_seconds()
        for record in everything
        if record.job.ended_at and record.job.started_at and record.job.ended_at > now - RECENT
    ]
    return Line(
        tenant_id=tenant_id,
        tenants=tenants,
        begun=len(begun),
        before=len(older),
        resumes=job is not None and job.started_at is not None,
        head_seconds=max([0.0, *((now - one.created_at).total_seconds() for one in own)]),
        job_seconds=sum(took) / len(took) if took else None,
    )
