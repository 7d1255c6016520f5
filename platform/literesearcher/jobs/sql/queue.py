"""Leases: claim, renew and release jobs, and count the backlog; synchronous, each one transaction.

Owns: who gets which job. Order: highest priority, then the tenant with the fewest leased jobs (those picked in the
same claim count), then the oldest. Refuses to know: which database it is, beyond how each is best asked for the first
few rows of every tenant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Subquery,
    any_,
    bindparam,
    case,
    func,
    select,
    tuple_,
    update,
)

from literesearcher.jobs.model import SUPPORTED_SCHEMA, Backlog, Claim, Renewal
from literesearcher.jobs.sql import rows
from literesearcher.jobs.sql.schema import inbox, jobs, unix_now

SPARE = 16
"""Candidates looked at beyond those asked for, since others may be claiming the same ones right now."""

_free = (jobs.c.lease_until <= unix_now(), jobs.c.requires_schema <= bindparam("schema"))
_THIS = select(jobs.c.id).where(jobs.c.id == bindparam("job"), *_free).with_for_update(skip_locked=True)
_BACKLOG = select(
    func.count(case((jobs.c.lease_until <= unix_now(), 1))),
    func.count(case((jobs.c.lease_until > unix_now(), 1))),
    func.min(case((jobs.c.lease_until <= unix_now(), jobs.c.created_at))),
    unix_now(),
).where(jobs.c.lease_until.is_not(None))


def claim(conn: Connection, worker: str, *, lease_seconds: float, limit: int, job_id: str | None) -> list[Claim]:
    """Take up to `limit` free jobs. The fence and the attempt rise by one."""
    asked: dict[str, Any] = {"schema": SUPPORTED_SCHEMA}
    if job_id is not None:
        picked = list(conn.execute(_THIS, asked | {"job": job_id}).scalars())
    else:
        asked |= {"limit": limit, "heads": limit + SPARE}
        picked = list(conn.execute(_CANDIDATES[conn.dialect.name], asked).scalars())
    if not picked:
        return []
    taken = (
        update(jobs)
        .where(jobs.c.id.in_(picked))
        .values(
            lease_until=unix_now() + lease_seconds,
            fence=jobs.c.fence + 1,
            attempt=jobs.c.attempt + 1,
            worker=worker,
        )
        .returning(*rows.JOB_COLUMNS, jobs.c.fence)
    )
    claims = {row.id: Claim(rows.job(row), row.fence, row.attempt) for row in conn.execute(taken)}
    return [claims[job] for job in picked]


def _tenants() -> Subquery:
    """Tenants that have open jobs, found by hopping along the index instead of reading every open job."""
    opened = jobs.c.lease_until.is_not(None)
    found = select(func.min(jobs.c.tenant_id).label("tenant_id")).where(opened).cte("tenants", recursive=True)
    following = select(func.min(jobs.c.tenant_id)).where(opened, jobs.c.tenant_id > found.c.tenant_id)
    hop = select(following.scalar_subquery()).where(found.c.tenant_id.is_not(None))
    return select(found.union_all(hop).c.tenant_id).subquery("tenant")


def _candidates(dialect: str) -> Select[tuple[str]]:
    tenants = _tenants()
    # As an expression, or SQLite walks the whole queue in the tenants' order instead of the few leases.
    holder = (jobs.c.tenant_id + "").label("tenant_id")
    leased = (
        select(holder, func.count().label("held"))
        .where(jobs.c.lease_until > unix_now())
        .group_by(holder)
        .subquery("leased")
    )
    inner = jobs.alias("head")
    head = (
        select(inner.c.id)
        .where(
            inner.c.tenant_id == tenants.c.tenant_id,
            inner.c.lease_until <= unix_now(),
            inner.c.requires_schema <= bindparam("schema"),
        )
        .order_by(inner.c.priority.desc(), inner.c.created_at, inner.c.id)
        .limit(bindparam("heads"))
        .correlate(tenants)
    )
    job = jobs.alias("candidate")
    # Both mean "its id is one of the tenant's first"; each database finds the rows by index in one of the forms only.
    by_array = job.c.id == any_(func.array(head.scalar_subquery()))
    among = by_array if dialect == "postgresql" else job.c.id.in_(head)
    turn = func.row_number().over(
        partition_by=job.c.tenant_id, order_by=(job.c.priority.desc(), job.c.created_at, job.c.id)
    )
    ranked = (
        select(job.c.id, job.c.priority, job.c.created_at, (func.coalesce(leased.c.held, 0) + turn).label("load"))
        .select_from(tenants.join(job, among).outerjoin(leased, leased.c.tenant_id == job.c.tenant_id))
        .subquery("ranked")
    )
    order = (ranked.c.priority.desc(), ranked.c.load, ranked.c.created_at, ranked.c.id)
    place = func.row_number().over(order_by=order).label("place")
    # Cut here, so that no more rows than these are looked up and locked.
    first = select(ranked.c.id, place).order_by(*order).limit(bindparam("heads")).subquery("first")
    return (
        select(jobs.c.id)
        .join(first, first.c.id == jobs.c.id)
        .where(*_free)
        .order_by(first.c.place)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True, of=jobs)
    )


_CANDIDATES = {dialect: _candidates(dialect) for dialect in ("sqlite", "postgresql")}


def renew(conn: Connection, held: Sequence[tuple[str, int]], *, lease_seconds: float) -> Renewal:
    """Move every lease on that is still ours; which are lost, and which jobs have unread letters."""
    if not held:
        return Renewal()
    kept = set(
        conn.execute(
            update(jobs)
            .where(tuple_(jobs.c.id, jobs.c.fence).in_(list(held)), jobs.c.lease_until > unix_now())
            .values(lease_until=unix_now() + lease_seconds)
            .returning(jobs.c.id)
        ).scalars()
    )
    letters = conn.execute(
        select(inbox.c.job_id)
        .distinct()
        .join(jobs, jobs.c.id == inbox.c.job_id)
        .where(inbox.c.job_id.in_(kept), inbox.c.taken_by < jobs.c.fence)
    ).scalars()
    return Renewal(lost=frozenset(job for job, _ in held if job not in kept), letters=frozenset(letters))


def release(conn: Connection, job_id: str, fence: int, requires_schema: int | None) -> None:
    """Back into the queue at once; a stale fence or an ended job is let be."""
    values: dict[str, Any] = {
        "lease_until": 0.0,
        "worker": None,
        "status": case((jobs.c.status == "running", "queued"), else_=jobs.c.status),
    }
    if requires_schema is not None:
        values["requires_schema"] = requires_schema
    mine = (jobs.c.id == job_id, jobs.c.fence == fence, jobs.c.lease_until.is_not(None))
    conn.execute(update(jobs).where(*mine).values(**values))


def backlog(conn: Connection) -> Backlog:
    """Open jobs that nobody holds, open jobs that are held, and the age of the oldest that nobody holds."""
    free, leased, oldest, now = conn.execute(_BACKLOG).one()
    return Backlog(queued=free, running=leased, oldest_seconds=0.0 if oldest is None else max(0.0, now - oldest))
