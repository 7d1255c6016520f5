"""A job as the in-memory store keeps it: a part of the twin of the job store.

Owns: the row, its lease, journal and letters, the form of an event. Refuses to know: tenants, clocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson

from literesearcher.jobs import lifecycle
from literesearcher.jobs.model import Envelope, Job, Letter
from literesearcher.research import codec
from literesearcher.research.events import Event, JobEnded


@dataclass
class Record:
    """Everything about one job."""

    job: Job
    requires_schema: int = 1
    fence: int = 0
    lease_until: datetime | None = None
    """None: in the queue, or ended."""
    journal: list[Envelope] = field(default_factory=list)
    letters: list[tuple[Letter, int]] = field(default_factory=list)
    """Each with the newest fence that took it."""

    def end(self, event: JobEnded, at: datetime) -> None:
        """The job is over, and free of its holder."""
        ended = lifecycle.ended_fields(event)
        self.job = replace(self.job, status=event.status, stop_reason=event.stop_reason, ended_at=at, **ended)
        self.lease_until = None
        self.letters.clear()

    @property
    def unread(self) -> list[Letter]:
        """Letters that the newest holder has not had."""
        return [letter for letter, taken_by in self.letters if taken_by < self.fence]


def age(job: Job) -> tuple[float, str]:
    """Sorts the oldest first."""
    return (job.created_at.timestamp(), job.id)


def envelope(job_id: str, seq: int, at: datetime, attempt: int, fence: int, event: Event) -> Envelope:
    """An event as a database would give it back."""
    payload = orjson.loads(codec.encode(event))
    decoded = codec.decode(event.type, event.version, payload)
    return Envelope(job_id, seq, event.type, event.version, at, attempt, fence, decoded, payload)
