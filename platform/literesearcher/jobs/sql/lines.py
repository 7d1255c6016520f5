"""What stands before a job in the queue, counted: one read transaction of a few statements, each along an index.

Owns: the counting. The long part, jobs that nobody touched, is counted in the queue's index alone; claimed and begun
jobs, which are few, are looked up by their leases and taken off. Refuses to know: what the counts mean (`jobs.line`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, case, func, or_, select, tuple_

from literesearcher.jobs.line import Line, TenantLine
from literesearcher.jobs.model import Job
from literesearcher.jobs.sql.candidates import open_
from literesearcher.jobs.sql.schema import jobs, unix_now

RECENT_SECONDS = 3600.0
RECENT_JOBS = 200
"""How long jobs took of late: those that ended within the hour, the newest."""

_higher = jobs.c.priority > bindparam("priority")
_same = jobs.c.priority == bindparam("priority")
_touched = or_(jobs.c.lease_until > 0.0, jobs.c.lease_until < 0.0)
_OPEN = (
    select(jobs.c.tenant_id, func.count(case((_higher, 1))).label("higher"), func.count(case((_same, 1))).label("same"))
    .where(open_)
    .group_by(jobs.c.tenant_id)
)
_held = (jobs.c.lease_until > unix_now()).label("held")
_higher_too, _same_too = _higher.label("higher"), _same.label("same")
_TOUCHED = (
    select(jobs.c.tenant_id, _held, _higher_too, _same_too, func.count().label("number"))
    .where(_touched, or_(jobs.c.lease_until > unix_now(), jobs.c.started_at.is_not(None)))
    .group_by(jobs.c.tenant_id, _held, _higher_too, _same_too)
)
_own = (jobs.c.tenant_id == bindparam("tenant"), _same, open_)
_older = tuple_(jobs.c.created_at, jobs.c.id) < tuple_(bindparam("created_at"), bindparam("job"))
_OLDER = select(func.count()).where(*_own, _older)
_OLDER_TOUCHED = select(func.count()).where(
    _touched,
    or_(jobs.c.lease_until > unix_now(), jobs.c.started_at.is_not(None)),
    jobs.c.tenant_id == bindparam("tenant"),
    _same,
    _older,
)
_HEAD = (
    select(unix_now() - jobs.c.created_at).where(*_own, jobs.c.lease_until == 0.0).order_by(jobs.c.created_at).limit(1)
)
_recent = (
    select((jobs.c.ended_at - jobs.c.started_at).label("took"))
    .where(jobs.c.ended_at > unix_now() - RECENT_SECONDS, jobs.c.started_at.is_not(None))
    .order_by(jobs.c.ended_at.desc())
    .limit(RECENT_JOBS)
    .subquery()
)
_TOOK = select(func.avg(_recent.c.took))


def line(conn: Connection, tenant_id: str, priority: int, job: Job | None) -> Line:
    """What stands before that job, or before one that would come now."""
    asked: dict[str, Any] = {"tenant": tenant_id, "priority": priority}
    counts = {row.tenant_id: [0, row.higher, row.same] for row in conn.execute(_OPEN, asked)}
    begun = 0
    for row in conn.execute(_TOUCHED, asked):
        # Both statements see one snapshot, so a tenant found here was found above.
        one = counts[row.tenant_id]
        one[1] -= row.number if row.higher else 0
        one[2] -= row.number if row.same else 0
        one[0] += row.number if row.held else 0
        if not row.held:
            begun += row.number
            one[1] += row.number
    tenants = {name: TenantLine(*one) for name, one in counts.items()}
    if job is None:
        before = tenants[tenant_id].same if tenant_id in tenants else 0
    else:
        asked |= {"created_at": job.created_at.timestamp(), "job": job.id}
        before = conn.execute(_OLDER, asked).scalar_one() - conn.execute(_OLDER_TOUCHED, asked).scalar_one()
    head = conn.execute(_HEAD, asked).scalar_one_or_none()
    took = conn.execute(_TOOK).scalar_one()
    return Line(
        tenant_id=tenant_id,
        tenants=tenants,
        begun=begun,
        before=max(0, before),
        resumes=job is not None and job.started_at is not None,
        head_seconds=max(0.0, head or 0.0),
        job_seconds=None if took is None else max(0.0, float(took)),
    )
