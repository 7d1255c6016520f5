"""The journal and the inbox: append under a fence, read, post and drain; synchronous, each one transaction.

Owns: the one statement that checks fence, expiry and sequence number and moves the job's row on, so that a stale
writer changes nothing. Refuses to know: which database it is, what the events mean to the agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Update, bindparam, case, delete, func, insert, select, update

from literesearcher.errors import DurabilityError, LeaseLost, SequenceConflict
from literesearcher.jobs import lifecycle
from literesearcher.jobs.model import ENDED, Envelope, Job, Letter
from literesearcher.jobs.spending import NO_LIMIT, Budget, entries
from literesearcher.jobs.sql import ledger, rows
from literesearcher.jobs.sql.jobs import not_found
from literesearcher.jobs.sql.schema import events, inbox, jobs, unix_now
from literesearcher.research import codec
from literesearcher.research.events import AttemptStarted, Event, JobEnded

_held = (jobs.c.id == bindparam("b_job"), jobs.c.fence == bindparam("b_fence"), jobs.c.lease_until > unix_now())
_STARTED: dict[str, Any] = {
    "status": case((jobs.c.status == "queued", "running"), else_=jobs.c.status),
    "started_at": func.coalesce(jobs.c.started_at, bindparam("b_at")),
}
_ENDED: dict[str, Any] = {
    "status": bindparam("b_status"),
    "stop_reason": bindparam("b_stop_reason"),
    "result": bindparam("b_result"),
    "ended_at": bindparam("b_at"),
    "lease_until": None,
    "worker": None,
}


def _move(extra: dict[str, Any]) -> Update:
    at_end = jobs.c.last_seq == bindparam("b_previous")
    return update(jobs).where(*_held, at_end).values(last_seq=bindparam("b_last"), **extra)


_ENDED_UNREAD = update(jobs).where(*_held).values(**_ENDED)
_MOVES: dict[tuple[bool, bool], Update] = {
    (started, ended): _move((_STARTED if started else {}) | (_ENDED if ended else {}))
    for started in (False, True)
    for ended in (False, True)
}
_TENANT = select(jobs.c.tenant_id).where(jobs.c.id == bindparam("b_job")).scalar_subquery()
_INSERT = insert(events).values(tenant_id=_TENANT)
_STATE = select(jobs.c.fence, jobs.c.last_seq, (jobs.c.lease_until > unix_now()).label("live")).where(
    jobs.c.id == bindparam("b_job")
)
_READ = select(*rows.EVENT_COLUMNS).where(events.c.job_id == bindparam("job"), events.c.seq > bindparam("after"))
_FORGET_LETTERS = delete(inbox).where(inbox.c.job_id == bindparam("b_job"))


class Append:
    """An append with its events encoded once, however often the transaction is tried."""

    def __init__(
        self,
        job_id: str,
        *,
        fence: int,
        expected_seq: int,
        attempt: int,
        at: datetime,
        events: Sequence[Event],
        budget: Budget = NO_LIMIT,
    ) -> None:
        self._events = events
        self._at = at
        self._budget = budget
        self._spending = entries(events, at)
        self._rows = rows.event_rows(
            job_id, None, first_seq=expected_seq, at=at.timestamp(), attempt=attempt, fence=fence, events=events
        )
        for row in self._rows:
            del row["tenant_id"]
            row["b_job"] = job_id
        self._move_to: dict[str, Any] = {
            "b_job": job_id,
            "b_fence": fence,
            "b_previous": expected_seq - 1,
            "b_last": expected_seq + len(events) - 1,
        }
        started = any(isinstance(event, AttemptStarted) for event in events)
        end = next((event for event in events if isinstance(event, JobEnded)), None)
        if end is not None and end is not events[-1]:
            raise ValueError("nothing follows JobEnded in a journal")
        if started or end is not None:
            self._move_to["b_at"] = at.timestamp()
        if end is not None:
            self._move_to |= {
                "b_status": end.status,
                "b_stop_reason": end.stop_reason,
                "b_result": self._rows[-1]["payload"],
            }
        self._ends = end is not None
        self._statement = _MOVES[started, self._ends]

    def __call__(self, conn: Connection) -> None:
        """LeaseLost, SequenceConflict or BudgetSpent, and then nothing is written."""
        job_id = self._move_to["b_job"]
        if conn.execute(self._statement, self._move_to).rowcount != 1:
            raise _why_not(conn, job_id, self._move_to["b_fence"])
        conn.execute(_INSERT, self._rows)
        if self._ends:
            conn.execute(_FORGET_LETTERS, {"b_job": job_id})
        # Last, so that the row that all jobs of the tenant share is held for as short as can be.
        for entry in self._spending:
            ledger.add(conn, job_id, entry, budget=self._budget, at=self._at)

    def envelopes(self) -> list[Envelope]:
        """What was written."""
        return [
            Envelope(
                job_id=row["job_id"],
                seq=row["seq"],
                type=row["type"],
                version=row["version"],
                at=lifecycle.instant(row["at"]),
                attempt=row["attempt"],
                fence=row["fence"],
                event=event,
                payload=orjson.loads(row["payload"]),
            )
            for row, event in zip(self._rows, self._events, strict=True)
        ]


def _why_not(conn: Connection, job_id: str, fence: int) -> DurabilityError:
    row = conn.execute(_STATE, {"b_job": job_id}).one_or_none()
    if row is None or row.fence != fence or not row.live:
        return LeaseLost(f"the lease on {job_id} is lost: another holder has it, it ran out, or the job is over")
    return SequenceConflict(f"the next event of {job_id} is number {row.last_seq + 1}")


def end_unread(conn: Connection, job_id: str, fence: int, at: float, end: JobEnded) -> None:
    """End the row as this event would, and leave the journal as it is. LeaseLost where somebody else has the job."""
    ending = {
        "b_job": job_id,
        "b_fence": fence,
        "b_at": at,
        "b_status": end.status,
        "b_stop_reason": end.stop_reason,
        "b_result": codec.encode(end).decode(),
    }
    if conn.execute(_ENDED_UNREAD, ending).rowcount != 1:
        raise LeaseLost(f"the lease on {job_id} is lost")
    conn.execute(_FORGET_LETTERS, {"b_job": job_id})


def read(conn: Connection, job_id: str, after: int, limit: int | None) -> list[Envelope]:
    """Events with seq > `after`, in order."""
    wanted = _READ.order_by(events.c.seq)
    if limit is not None:
        wanted = wanted.limit(limit)
    # Fetched to the end first: a cursor that a damaged row left in the middle would hold SQLite's old view open.
    found = conn.execute(wanted, {"job": job_id, "after": after}).all()
    return [rows.envelope(row) for row in found]


def newest(conn: Connection, job_id: str, event_type: str) -> Envelope | None:
    """The last event of that type, found from the journal's end; no other's payload is read."""
    wanted = select(*rows.EVENT_COLUMNS).where(events.c.job_id == job_id, events.c.type == event_type)
    row = conn.execute(wanted.order_by(events.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else rows.envelope(row)


def post(conn: Connection, tenant_id: str, job_id: str, letter: Letter) -> Job:
    """Put the letter into the inbox; a cancel marks the job. An ended job stays as it is."""
    mine = (jobs.c.tenant_id == tenant_id, jobs.c.id == job_id)
    # Locked, so that the job cannot end between the look and the letter.
    row = conn.execute(select(*rows.JOB_COLUMNS).where(*mine).with_for_update()).one_or_none()
    if row is None:
        raise not_found(job_id)
    if row.status in ENDED:
        return rows.job(row)
    conn.execute(
        insert(inbox).values(
            job_id=job_id,
            tenant_id=tenant_id,
            kind=letter.kind,
            body=orjson.dumps(letter.body).decode(),
            taken_by=0,
            posted_at=unix_now(),
        )
    )
    if letter.kind == "cancel":
        conn.execute(update(jobs).where(*mine).values(status="cancelling"))
        row = conn.execute(select(*rows.JOB_COLUMNS).where(*mine)).one()
    return rows.job(row)


def drain(conn: Connection, job_id: str, fence: int) -> list[Letter]:
    """Letters that this holder has not had, oldest first. They stay until the job ends: a holder that dies before it
    journals what they asked for leaves them to the next one."""
    lease = select(jobs.c.id).where(*_held).with_for_update()
    if conn.execute(lease, {"b_job": job_id, "b_fence": fence}).one_or_none() is None:
        raise LeaseLost(f"the lease on {job_id} is lost")
    unread = (inbox.c.job_id == job_id, inbox.c.taken_by < fence)
    found = conn.execute(select(inbox.c.id, inbox.c.kind, inbox.c.body).where(*unread).order_by(inbox.c.id)).all()
    if found:
        conn.execute(update(inbox).where(inbox.c.id.in_([row.id for row in found])).values(taken_by=fence))
    return [Letter(row.kind, orjson.loads(row.body)) for row in found]
