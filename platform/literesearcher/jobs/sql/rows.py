"""Rows to values and back: jobs, envelopes and keys, as `jobs.model` has them.

Refuses to know: statements and transactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from literesearcher.errors import DamagedEvent, UnfoldableEvent
from literesearcher.jobs.lifecycle import ended_fields, instant
from literesearcher.jobs.model import ApiKey, Envelope, Job
from literesearcher.jobs.sql import schema
from literesearcher.research import codec
from literesearcher.research.events import Event, JobEnded

_j = schema.jobs.c
JOB_COLUMNS = (
    *(_j.id, _j.tenant_id, _j.status, _j.input, _j.created_at, _j.deadline_at, _j.stop_reason, _j.result),
    *(_j.started_at, _j.ended_at, _j.metadata, _j.priority, _j.attempt, _j.last_seq),
)
_e = schema.events.c
EVENT_COLUMNS = (_e.job_id, _e.seq, _e.type, _e.version, _e.at, _e.attempt, _e.fence, _e.payload)
KEY_COLUMNS = tuple(schema.api_keys.c)


def _instant_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else instant(seconds)


def job(row: Any) -> Job:
    """The job of a row of JOB_COLUMNS. What its end brought is in `result`, the payload of its JobEnded."""
    ended: dict[str, Any] = {}
    if row.result is not None:
        event = codec.decode(JobEnded.type, JobEnded.version, orjson.loads(row.result))
        assert isinstance(event, JobEnded)
        ended = ended_fields(event)
    return Job(
        id=row.id,
        tenant_id=row.tenant_id,
        status=row.status,
        input=row.input,
        created_at=instant(row.created_at),
        deadline_at=instant(row.deadline_at),
        stop_reason=row.stop_reason,
        started_at=_instant_or_none(row.started_at),
        ended_at=_instant_or_none(row.ended_at),
        metadata=orjson.loads(row.metadata),
        priority=row.priority,
        attempt=row.attempt,
        last_seq=row.last_seq,
        **ended,
    )


def envelope(row: Any) -> Envelope:
    """The envelope of a row of EVENT_COLUMNS; its event is None where this program cannot read it.

    `DamagedEvent` where its payload is damaged.
    """
    event: Event | None
    try:
        payload = orjson.loads(row.payload)
        event = codec.decode(row.type, row.version, payload)
    except UnfoldableEvent:
        event = None
    except ValueError:
        raise DamagedEvent(f"event {row.seq} of {row.job_id} is damaged in the store") from None
    return Envelope(row.job_id, row.seq, row.type, row.version, instant(row.at), row.attempt, row.fence, event, payload)


def event_rows(
    job_id: str, tenant_id: str | None, *, first_seq: int, at: float, attempt: int, fence: int, events: Sequence[Event]
) -> list[dict[str, Any]]:
    """Rows to insert, each payload encoded here and nowhere else. `tenant_id` None: the statement fills it in."""
    return [
        {
            "job_id": job_id,
            "seq": first_seq + index,
            "tenant_id": tenant_id,
            "type": event.type,
            "version": event.version,
            "at": at,
            "attempt": attempt,
            "fence": fence,
            "payload": codec.encode(event).decode(),
        }
        for index, event in enumerate(events)
    ]


def api_key(row: Any) -> ApiKey:
    """The key of a row of KEY_COLUMNS."""
    return ApiKey(row.id, row.tenant_id, row.name, instant(row.created_at), _instant_or_none(row.revoked_at))
