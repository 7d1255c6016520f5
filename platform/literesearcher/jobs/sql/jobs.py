"""Creating, showing and removing jobs: synchronous operations over one connection, each one transaction.

Owns: idempotency, removal. Refuses to know: which database it is, threads, asyncio. Neighbour: `job_pages`.
"""

from __future__ import annotations

import orjson
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from literesearcher.errors import CallerError, Conflict, NotFound
from literesearcher.jobs import lifecycle
from literesearcher.jobs.model import Job, NewJob
from literesearcher.jobs.spending import Budget, day_of
from literesearcher.jobs.sql import ledger, rows
from literesearcher.jobs.sql.schema import IDEMPOTENCY_SECONDS, events, idempotency, inbox, insert_new, jobs, unix_now

PURGE_BATCH = 200
"""Jobs removed in one transaction, so that nobody waits long behind a purge."""

_INSERT_JOB = insert(jobs)
_INSERT_EVENTS = insert(events)
_GET = select(*rows.JOB_COLUMNS).where(jobs.c.tenant_id == bindparam("tenant"), jobs.c.id == bindparam("job"))
_FORGET_KEY = delete(idempotency).where(
    idempotency.c.tenant_id == bindparam("tenant"),
    idempotency.c.key == bindparam("idem"),
    idempotency.c.created_at <= unix_now() - IDEMPOTENCY_SECONDS,
)
_KNOWN_KEY = select(idempotency.c.job_id, idempotency.c.digest).where(
    idempotency.c.tenant_id == bindparam("tenant"), idempotency.c.key == bindparam("idem")
)


def not_found(job_id: str) -> NotFound:
    """The one answer for a job that never was and for another tenant's."""
    return NotFound(f"there is no job {job_id}", field="id")


def create(
    conn: Connection, new: NewJob, job_id: str, budget: Budget, refusal: CallerError | None = None
) -> tuple[Job, bool]:
    """Write the job and its first event, unless its idempotency key is known, it is refused or the budget is spent."""
    if new.idempotency_key is not None:
        known = _claim_key(conn, new, job_id)
        if known is not None:
            return get(conn, new.tenant_id, known), False
    if refusal is not None:
        raise refusal
    ledger.admit(conn, new.tenant_id, day_of(new.created_at), budget=budget, at=new.created_at)
    conn.execute(
        _INSERT_JOB,
        {
            "id": job_id,
            "tenant_id": new.tenant_id,
            "status": "queued",
            "priority": new.priority,
            "requires_schema": 1,
            "input": new.created.input,
            "metadata": orjson.dumps(new.metadata).decode(),
            "created_at": new.created_at.timestamp(),
            "deadline_at": new.created.deadline_at,
            "last_seq": 1,
            "attempt": 0,
            "fence": 0,
            "lease_until": 0.0,
        },
    )
    first = rows.event_rows(
        job_id,
        new.tenant_id,
        first_seq=1,
        at=new.created_at.timestamp(),
        attempt=0,
        fence=0,
        events=[new.created],
    )
    conn.execute(_INSERT_EVENTS, first)
    return lifecycle.created_job(new, job_id), True


def _claim_key(conn: Connection, new: NewJob, job_id: str) -> str | None:
    """None where the key is ours now, else the job that it made. Of two that come at once, one waits for the other."""
    named = {"tenant": new.tenant_id, "idem": new.idempotency_key}
    conn.execute(_FORGET_KEY, named)
    ours = insert_new(
        conn,
        idempotency,
        tenant_id=new.tenant_id,
        key=new.idempotency_key,
        digest=new.request_digest,
        job_id=job_id,
        created_at=unix_now(),
    )
    if ours:
        return None
    known = conn.execute(_KNOWN_KEY, named).one()
    if known.digest != new.request_digest:
        raise Conflict(
            "this idempotency key was used with another request body in the last 24 hours",
            code="idempotency_key_reused",
            field="Idempotency-Key",
        )
    return str(known.job_id)


def get(conn: Connection, tenant_id: str, job_id: str) -> Job:
    """The tenant's job, or NotFound."""
    row = conn.execute(_GET, {"tenant": tenant_id, "job": job_id}).one_or_none()
    if row is None:
        raise not_found(job_id)
    return rows.job(row)


def remove(conn: Connection, tenant_id: str, job_id: str) -> None:
    """Fence the holder out (the row is ours until the transaction ends), then remove all that belongs to the job."""
    fenced = conn.execute(
        update(jobs).where(jobs.c.tenant_id == tenant_id, jobs.c.id == job_id).values(fence=jobs.c.fence + 1)
    )
    if fenced.rowcount != 1:
        raise not_found(job_id)
    _remove(conn, [job_id])


def purge_batch(conn: Connection, ended_before: float) -> int:
    """Remove up to PURGE_BATCH jobs that ended before that instant; how many. 0: nothing is left."""
    old = (
        select(jobs.c.id)
        .where(jobs.c.ended_at < ended_before)
        .order_by(jobs.c.ended_at)
        .limit(PURGE_BATCH)
        .with_for_update(skip_locked=True)
    )
    found = list(conn.execute(old).scalars())
    if found:
        _remove(conn, found)
    else:
        conn.execute(delete(idempotency).where(idempotency.c.created_at <= unix_now() - IDEMPOTENCY_SECONDS))
    return len(found)


def _remove(conn: Connection, job_ids: list[str]) -> None:
    for table in (events, inbox, idempotency):
        conn.execute(delete(table).where(table.c.job_id.in_(job_ids)))
    conn.execute(delete(jobs).where(jobs.c.id.in_(job_ids)))
