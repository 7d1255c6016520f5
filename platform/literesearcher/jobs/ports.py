"""The ports of the job store: jobs, queue, journal, ledger, inbox and keys, each one to five methods in domain words.

Refuse to know: the agent, engines, tools, HTTP. Above: gateway, orchestrator, CLI. Below: one SQLAlchemy
implementation (SQLite, PostgreSQL) and the in-memory twin in `testing`; one contract suite runs them all.
Every method may raise `BoundaryError` with code `store_unreachable` (transient), `store_full` or `store_corrupt`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from literesearcher.errors import CallerError
from literesearcher.jobs.line import EVEN, Line
from literesearcher.jobs.model import (
    EVERY_JOB,
    ApiKey,
    Backlog,
    Claim,
    Envelope,
    Job,
    JobFilter,
    JobPage,
    Letter,
    NewJob,
    Renewal,
)
from literesearcher.jobs.spending import NO_LIMIT, Budget, Spend
from literesearcher.research.events import Event, JobEnded


class Jobs(Protocol):
    """Jobs as their tenant sees them. Another tenant's job is `NotFound`, like one that never was."""

    async def create(
        self, new: NewJob, *, budget: Budget = NO_LIMIT, refusal: CallerError | None = None
    ) -> tuple[Job, bool]:
        """Commit the job and its first event; (job, True). A known idempotency key with the same digest gives
        (the first job, False), with another digest `Conflict(code="idempotency_key_reused")`. `BudgetSpent` where
        the tenant has nothing of `budget` left on the day of its creation. `refusal` is raised instead of making a
        job; a known idempotency key gives its job all the same."""
        ...

    async def get(self, tenant_id: str, job_id: str) -> Job:
        """The job, or `NotFound`."""
        ...

    async def list(
        self, tenant_id: str, *, only: JobFilter = EVERY_JOB, cursor: str | None = None, limit: int = 20
    ) -> JobPage:
        """Newest first. A cursor that was not made here is `CallerError(field="cursor")`; so is what no question can
        hold, of `text`."""
        ...

    async def delete(self, tenant_id: str, job_id: str) -> None:
        """Fence the holder out, then remove everything about the job, in one transaction. `NotFound` if unknown."""
        ...

    async def purge(self, *, ended_before: datetime) -> int:
        """Remove jobs that ended before that instant, with all their rows, and stale idempotency keys. How many."""
        ...


class Queue(Protocol):
    """Leases. Expiry is judged by the store's own clock."""

    async def claim(
        self,
        worker: str,
        *,
        lease_seconds: float,
        limit: int = 1,
        job_id: str | None = None,
        weights: Mapping[str, float] = EVEN,
    ) -> list[Claim]:
        """Take up to `limit` jobs that are queued or whose lease ran out: jobs that were begun before first, then the
        highest priority, then the tenant with the fewest leased jobs by its weight (`weights`, else 1), then the
        oldest. `job_id` asks for that job only. Jobs that need a newer event schema than SUPPORTED_SCHEMA are passed
        over. The fence and the attempt rise by one."""
        ...

    async def renew(self, held: Sequence[tuple[str, int]], *, lease_seconds: float) -> Renewal:
        """Heartbeat for (job_id, fence) pairs, in one transaction."""
        ...

    async def release(self, job_id: str, fence: int, *, requires_schema: int | None = None) -> None:
        """Hand the job back to the queue at once (drain, or an event that this program cannot fold). A stale fence
        is no error: the job is somebody else's already."""
        ...

    async def backlog(self) -> Backlog:
        """Counts over all tenants."""
        ...

    async def line(self, tenant_id: str, *, priority: int, job: Job | None = None) -> Line:
        """What stands before a queued job of that tenant and priority; before one that would come now: None."""
        ...


class Journal(Protocol):
    """The append-only events of a job."""

    async def append(
        self,
        job_id: str,
        *,
        fence: int,
        expected_seq: int,
        attempt: int,
        at: datetime,
        events: Sequence[Event],
        budget: Budget = NO_LIMIT,
    ) -> list[Envelope]:
        """Append in one transaction; `expected_seq` is the sequence number of the first of them.

        `LeaseLost` on a stale fence or an expired lease, `SequenceConflict` on a wrong number, `BudgetSpent` where a
        ToolStarted would pass the tenant's `budget` of the day; then nothing is written. An AttemptStarted makes the
        job running; a JobEnded ends it, with its output, and frees the lease. Tool events change the tenant's ledger
        as `jobs.spending` says.
        """
        ...

    async def read(self, job_id: str, *, after: int = 0, limit: int | None = None) -> list[Envelope]:
        """Events with seq > `after`, in order. [] for an unknown job."""
        ...

    async def newest(self, job_id: str, event_type: str) -> Envelope | None:
        """The last event of that type, None where there is none."""
        ...

    async def end_unread(self, job_id: str, fence: int, *, at: datetime, end: JobEnded) -> None:
        """End the job as this event would, without its journal, which stays as it is: for a journal that cannot be
        read. `LeaseLost` on a stale fence or an expired lease."""
        ...


class Ledger(Protocol):
    """What tenants spent on tools, written by `Journal.append` alone."""

    async def spent(self, tenant_id: str, day: str) -> Spend:
        """Calls and money of that day (UTC, YYYY-MM-DD)."""
        ...


class Inbox(Protocol):
    """Letters from everyone who is not the holder."""

    async def post(self, tenant_id: str, job_id: str, letter: Letter) -> Job:
        """Commit a letter. A `cancel` makes a queued or running job `cancelling`; posting to an ended job changes
        nothing. The job as it is afterwards, or `NotFound`."""
        ...

    async def drain(self, job_id: str, fence: int) -> list[Letter]:
        """Take the unread letters, oldest first. `LeaseLost` on a stale fence."""
        ...


class Keys(Protocol):
    """API keys. SHA-256 of the secret at rest; the token is shown once."""

    async def create_key(self, tenant_id: str, name: str, *, token: str | None = None) -> tuple[ApiKey, str]:
        """A new key and its token `lr_ID_SECRET`. With `token` (bootstrap), inserted once: the same token again gives
        the key that is there."""
        ...

    async def list_keys(self) -> list[ApiKey]:
        """All keys, newest first."""
        ...

    async def revoke_key(self, key_id: str) -> ApiKey:
        """Revoke; `NotFound` if unknown. Revoking twice is no error."""
        ...

    async def authenticate(self, token: str) -> ApiKey | None:
        """The live key of this token, else None; compared in constant time."""
        ...


class Store(Jobs, Queue, Journal, Ledger, Inbox, Keys, Protocol):
    """All of them over one database."""

    async def check(self) -> None:
        """Can it be read and written? Raises what it cannot for; `store_full` from a write that found the disk full
        until there is room again, which it finds out by itself."""
        ...

    async def aclose(self) -> None:
        """Close connections. Safe to call twice."""
        ...
