"""Leases: claim, renew and release jobs, and count the backlog; synchronous, each one transaction.

Owns: who holds which job. Refuses to know: whose turn it is (`candidates`), which database it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, tuple_, update

from literesearcher.jobs.model import SUPPORTED_SCHEMA, Backlog, Claim, Renewal
from literesearcher.jobs.sql import rows
from literesearcher.jobs.sql.candidates import HANDED_BACK, SPARE, candidates, free
from literesearcher.jobs.sql.schema import inbox, jobs, unix_now

_THIS = select(jobs.c.id).where(jobs.c.id == bindparam("job"), *free).with_for_update(skip_locked=True)
_BACKLOG = select(
    func.count(case((jobs.c.lease_until <= unix_now(), 1))),
    func.count(case((jobs.c.lease_until > unix_now(), 1))),
    func.min(case((jobs.c.lease_until <= unix_now(), jobs.c.created_at))),
    unix_now(),
).where(jobs.c.lease_until.is_not(None))


def claim(
    conn: Connection,
    worker: str,
    *,
    lease_seconds: float,
    limit: int,
    job_id: str | None,
    weights: Mapping[str, float],
) -> list[Claim]:
    """Take up to `limit` free jobs. The fence and the attempt rise by one."""
    asked: dict[str, Any] = {"schema": SUPPORTED_SCHEMA}
    if job_id is not None:
        picked = list(conn.execute(_THIS, asked | {"job": job_id}).scalars())
    else:
        asked |= {"limit": limit, "heads": limit + SPARE}
        picked = list(conn.execute(candidates(conn.dialect.name, weights), asked).scalars())
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
        "lease_until": case((jobs.c.started_at.is_not(None), HANDED_BACK), else_=0.0),
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
