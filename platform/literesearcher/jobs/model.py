"""What a job is outside its journal: the row that clients list and workers claim, and the values around it.

Owns: plain values. Refuses to know: SQL, HTTP. The journal is the truth; a row's status and output are what the last
appended event made of it, written in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from literesearcher.research.events import Citation, Event, JobCreated, JobUsage, StopReason

JobStatus = Literal["queued", "running", "cancelling", "completed", "incomplete", "failed", "cancelled"]
ENDED: frozenset[JobStatus] = frozenset({"completed", "incomplete", "failed", "cancelled"})
SUPPORTED_SCHEMA = 1
"""Highest event schema that this program folds; a job that needs more stays in the queue for a program that can."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to create. `created` is its first event. `idempotency_key` is unique by tenant for 24 hours."""

    tenant_id: str
    created: JobCreated
    created_at: datetime
    priority: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    request_digest: str | None = None
    """SHA-256 hex of the request body as canonical JSON; compared when the key is used again."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as its tenant sees it. Instants are aware UTC datetimes."""

    id: str
    tenant_id: str
    status: JobStatus
    input: str
    created_at: datetime
    deadline_at: datetime
    stop_reason: StopReason | None = None
    output_text: str | None = None
    citations: list[Citation] = field(default_factory=list)
    usage: JobUsage = field(default_factory=JobUsage)
    error_code: str | None = None
    error_message: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    priority: int = 0
    attempt: int = 0
    last_seq: int = 0


@dataclass(frozen=True, slots=True)
class Envelope:
    """One journal row. `seq` counts from 1 without gaps; `fence` is the lease under which it was written."""

    job_id: str
    seq: int
    type: str
    version: int
    at: datetime
    attempt: int
    fence: int
    event: Event | None
    """None where this program cannot read the type or version; `payload` still holds it."""
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on a job: only its holder appends, naming `fence`, until the database's clock passes the expiry."""

    job: Job
    fence: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to a job's holder. `kind` is `cancel` now; steering comes later."""

    kind: str
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a heartbeat found: leases that are lost, and jobs with unread letters."""

    lost: frozenset[str] = frozenset()
    letters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list holds; what is None is not asked."""

    status: JobStatus | None = None
    text: str | None = None
    """A part of the question, case of ASCII letters aside."""
    created_from: datetime | None = None
    """Created then or later."""
    created_before: datetime | None = None


EVERY_JOB = JobFilter()


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs newest first, and the cursor of the next page (None at the end). A page of a search by text may hold fewer
    than asked for, even none, and still have a next one: each looks through a bounded number of jobs."""

    jobs: list[Job]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts for scaling and readiness. `oldest_seconds` is the age of the oldest queued job, 0 when none."""

    queued: int
    running: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret. The token a client sends is `lr_ID_SECRET`."""

    id: str
    tenant_id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None = None
