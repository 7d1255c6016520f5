"""The job store over SQLAlchemy Core: one implementation of `jobs.ports.Store` for SQLite and PostgreSQL.

Owns: opening, migrating and describing a store, and which operation each method is. The operations are in `jobs.sql`,
written once; two runners carry them out. Refuses to know: retries (the caller's), the agent, HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Literal, TypeVar

from literesearcher.errors import CallerError, LiteResearcherError
from literesearcher.jobs import pages
from literesearcher.jobs.ids import is_id, new_id
from literesearcher.jobs.line import EVEN, Line
from literesearcher.jobs.model import (
    EVERY_JOB,
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
from literesearcher.jobs.sql import failures, job_pages, journal, ledger, lines, queue, revisions
from literesearcher.jobs.sql import jobs as job_rows
from literesearcher.jobs.sql.runner import Runner
from literesearcher.jobs.sql.schema import HEAD, STORE_LEVEL
from literesearcher.jobs.sql.url import StoreUrl, parse
from literesearcher.jobs.sql_keys import SqlKeys
from literesearcher.research.events import Event, JobEnded

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What `literesearcher store status` shows. `url` holds no password."""

    url: str
    revision: str | None
    """None: an empty database, or no file yet."""
    head: str
    min_level: int | None
    """The oldest program level that may read the store."""
    jobs: dict[str, int] = field(default_factory=dict)
    """Counts by status."""

    @property
    def standing(self) -> Literal["empty", "behind", "current", "newer", "too_new"]:
        """Against this program: `behind` is to be migrated, `newer` can be used as it is, `too_new` cannot be read."""
        if self.revision is None:
            return "empty"
        if self.min_level is not None and self.min_level > STORE_LEVEL:
            return "too_new"
        if self.revision == self.head:
            return "current"
        return "behind" if self.revision in revisions.REVISIONS else "newer"


async def open_store(url: str, *, migrate: bool | None = None) -> SqlStore:
    """Open the store. `migrate` None: bring the tables up to date on SQLite, expect them on PostgreSQL.

    ConfigurationError: bad URL, missing driver, not writable, corrupt, not migrated, too new for this program.
    BoundaryError `store_unreachable`: the server does not answer (yet).
    """
    parsed = parse(url)
    runner = await _open_runner(parsed)
    try:
        if migrate or (migrate is None and parsed.kind == "sqlite"):
            await _upgrade(runner, parsed.shown)
        else:
            await _starting(runner.read(partial(revisions.check, shown=parsed.shown)))
    except BaseException:
        await runner.aclose()
        raise
    return SqlStore(runner)


async def migrate(url: str) -> StoreStatus:
    """Bring the tables up to date; safe to run in several processes at once."""
    parsed = parse(url)
    runner = await _open_runner(parsed)
    try:
        await _upgrade(runner, parsed.shown)
        return await _status(runner, parsed.shown)
    finally:
        await runner.aclose()


async def status(url: str) -> StoreStatus:
    """Describe the store without changing it; a SQLite file that is absent is not made."""
    parsed = parse(url)
    if parsed.file is not None and not parsed.file.exists():
        return StoreStatus(parsed.shown, None, HEAD, None)
    runner = await _open_runner(parsed)
    try:
        return await _status(runner, parsed.shown)
    finally:
        await runner.aclose()


class SqlJobs(SqlKeys):
    """`jobs.ports.Jobs` over one database."""

    async def create(
        self, new: NewJob, *, budget: Budget = NO_LIMIT, refusal: CallerError | None = None
    ) -> tuple[Job, bool]:
        """Commit the job and its first event; (job, False) where its idempotency key made one before."""
        return await self._runner.write(
            partial(job_rows.create, new=new, job_id=new_id("job"), budget=budget, refusal=refusal)
        )

    async def get(self, tenant_id: str, job_id: str) -> Job:
        """The job, or NotFound."""
        return await self._runner.read(partial(job_rows.get, tenant_id=tenant_id, job_id=_known(job_id)))

    async def list(
        self, tenant_id: str, *, only: JobFilter = EVERY_JOB, cursor: str | None = None, limit: int = 20
    ) -> JobPage:
        """Newest first."""
        after = None if cursor is None else pages.decode_cursor(cursor)
        limit = pages.checked_limit(limit)
        only = replace(only, text=pages.checked_text(only.text))
        return await self._runner.read(
            partial(job_pages.page, tenant_id=tenant_id, only=only, after=after, limit=limit)
        )

    async def delete(self, tenant_id: str, job_id: str) -> None:
        """Fence the holder out, then remove everything about the job."""
        await self._runner.write(partial(job_rows.remove, tenant_id=tenant_id, job_id=_known(job_id)))

    async def purge(self, *, ended_before: datetime) -> int:
        """Remove jobs that ended before that instant, a few in each transaction."""
        removed = 0
        while count := await self._runner.write(partial(job_rows.purge_batch, ended_before=ended_before.timestamp())):
            removed += count
        return removed


class SqlStore(SqlJobs):
    """`jobs.ports.Store` over one database. Made by `open_store`."""

    async def claim(
        self,
        worker: str,
        *,
        lease_seconds: float,
        limit: int = 1,
        job_id: str | None = None,
        weights: Mapping[str, float] = EVEN,
    ) -> list[Claim]:
        """Take up to `limit` free jobs, or the one that is named."""
        if limit < 1 or (job_id is not None and not is_id(job_id, "job")):
            return []
        return await self._runner.write(
            partial(
                queue.claim, worker=worker, lease_seconds=lease_seconds, limit=limit, job_id=job_id, weights=weights
            )
        )

    async def renew(self, held: Sequence[tuple[str, int]], *, lease_seconds: float) -> Renewal:
        """Heartbeat for (job_id, fence) pairs."""
        if not held:
            return Renewal()
        return await self._runner.write(partial(queue.renew, held=held, lease_seconds=lease_seconds))

    async def release(self, job_id: str, fence: int, *, requires_schema: int | None = None) -> None:
        """Back into the queue at once."""
        await self._runner.write(partial(queue.release, job_id=job_id, fence=fence, requires_schema=requires_schema))

    async def backlog(self) -> Backlog:
        """Counts over all tenants."""
        return await self._runner.read(queue.backlog)

    async def line(self, tenant_id: str, *, priority: int, job: Job | None = None) -> Line:
        """What stands before a job."""
        return await self._runner.read(partial(lines.line, tenant_id=tenant_id, priority=priority, job=job))

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
        """Append in one transaction, or LeaseLost, SequenceConflict or BudgetSpent."""
        if not events:
            return []
        append = journal.Append(
            job_id, fence=fence, expected_seq=expected_seq, attempt=attempt, at=at, events=events, budget=budget
        )
        await self._runner.write(append)
        return append.envelopes()

    async def read(self, job_id: str, *, after: int = 0, limit: int | None = None) -> list[Envelope]:
        """Events with seq > `after`, in order."""
        if not is_id(job_id, "job"):
            return []
        return await self._runner.read(partial(journal.read, job_id=job_id, after=after, limit=limit))

    async def newest(self, job_id: str, event_type: str) -> Envelope | None:
        """The last event of that type."""
        if not is_id(job_id, "job"):
            return None
        return await self._runner.read(partial(journal.newest, job_id=job_id, event_type=event_type))

    async def end_unread(self, job_id: str, fence: int, *, at: datetime, end: JobEnded) -> None:
        """End the job without its journal."""
        await self._runner.write(partial(journal.end_unread, job_id=job_id, fence=fence, at=at.timestamp(), end=end))

    async def spent(self, tenant_id: str, day: str) -> Spend:
        """What the tenant's tool calls came to in that day."""
        return await self._runner.read(partial(ledger.spent, tenant_id=tenant_id, day=day))

    async def post(self, tenant_id: str, job_id: str, letter: Letter) -> Job:
        """Commit a letter; the job as it is afterwards."""
        return await self._runner.write(
            partial(journal.post, tenant_id=tenant_id, job_id=_known(job_id), letter=letter)
        )

    async def drain(self, job_id: str, fence: int) -> list[Letter]:
        """Letters that this holder has not had yet, oldest first."""
        return await self._runner.write(partial(journal.drain, job_id=job_id, fence=fence))

    async def check(self) -> None:
        """Can it be read and written?"""
        await self._runner.read(queue.backlog)
        await self._runner.check_room()

    async def aclose(self) -> None:
        """Close connections. Safe to call twice."""
        await self._runner.aclose()


def _known(job_id: str) -> str:
    """A text that is no job id is not asked for: a database may refuse it (NUL) instead of finding nothing."""
    if not is_id(job_id, "job"):
        raise job_rows.not_found(job_id)
    return job_id


async def _open_runner(parsed: StoreUrl) -> Runner:
    if parsed.file is not None:
        from literesearcher.jobs.sql.sqlite import open_sqlite

        return await open_sqlite(parsed.url, parsed.file, parsed.shown)
    # Here and not above: asyncpg is an extra.
    from literesearcher.jobs.sql.postgres import PostgresRunner

    return PostgresRunner(parsed.url, parsed.shown)


async def _upgrade(runner: Runner, shown: str) -> None:
    upgrade = partial(revisions.upgrade, shown=shown)
    await _starting(runner.write(upgrade))


async def _status(runner: Runner, shown: str) -> StoreStatus:
    revision = await _starting(runner.read(revisions.current))
    if revision is None:
        return StoreStatus(shown, None, HEAD, None)
    found = StoreStatus(shown, revision, HEAD, await _starting(runner.read(revisions.min_level)))
    if found.standing == "too_new":
        # Its tables may be others.
        return found
    return replace(found, jobs=await _starting(runner.read(revisions.counts)))


async def _starting(look: Awaitable[T]) -> T:
    """What would not go away by waiting means, while opening, that the program must not start."""
    try:
        return await look
    except LiteResearcherError as error:
        refused = failures.refuse_start(error)
        if refused is error:
            raise
        raise refused from error
