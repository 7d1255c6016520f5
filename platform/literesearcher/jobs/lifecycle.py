"""What creation and the end make of a job, the same in every store.

Owns: the values. Refuses to know: how they are kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from literesearcher.errors import DamagedEvent
from literesearcher.jobs.model import Job, NewJob
from literesearcher.research.events import JobEnded, JobUsage


def instant(seconds: float) -> datetime:
    """Aware UTC; microseconds survive the round trip through double precision."""
    return datetime.fromtimestamp(seconds, UTC)


def ended_fields(event: JobEnded) -> dict[str, Any]:
    """The fields of a Job that its end fills, beside status, stop_reason and ended_at."""
    return {
        "output_text": event.output_text,
        "citations": event.citations,
        "usage": event.usage,
        "error_code": event.error_code,
        "error_message": event.error_message,
    }


def created_job(new: NewJob, job_id: str) -> Job:
    """The job that a NewJob becomes, as the row just written would give it."""
    return Job(
        id=job_id,
        tenant_id=new.tenant_id,
        status="queued",
        input=new.created.input,
        created_at=new.created_at,
        deadline_at=instant(new.created.deadline_at),
        metadata=dict(new.metadata),
        priority=new.priority,
        last_seq=1,
    )


def damaged_end(error: DamagedEvent) -> JobEnded:
    """The end of a job whose journal cannot be read: for its row alone, since nothing sensible can follow in there."""
    return JobEnded(
        stop_reason="internal_error",
        status="failed",
        output_text=None,
        citations=[],
        usage=JobUsage(),
        error_code="journal_damaged",
        error_message=f"The job cannot go on: {error.message}. What can be read of its journal is as it was.",
    )
