"""A job with what only its journal tells: which engine drove it, and what it asks of its tools.

Owns: that a journal which cannot be read hides no more than these. Refuses to know: HTTP, terminals. The CLI shows the
same. Below: the store's `Journal`, `public`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from literesearcher.errors import DamagedEvent
from literesearcher.gateway.public import engine_object, job_object, queue_object, tools_object
from literesearcher.jobs.line import EVEN, Line
from literesearcher.jobs.model import Job
from literesearcher.jobs.ports import Journal
from literesearcher.research.events import AttemptStarted, Event, JobCreated


async def whole_job(
    journal: Journal, job: Job, *, line: Line | None = None, weights: Mapping[str, float] = EVEN
) -> dict[str, Any]:
    """The job object with `engine`, `tools` and, of a waiting job's `line`, `queue`."""
    created = await _newest(journal, job, JobCreated)
    tools = tools_object(created) if isinstance(created, JobCreated) else None
    queue = None if line is None else queue_object(line, weights)
    return job_object(job, engine=await engine_of(journal, job), tools=tools, queue=queue)


async def engine_of(journal: Journal, job: Job) -> dict[str, Any] | None:
    """Which engine drove the job last, in its public form; None before any did."""
    driven = await _newest(journal, job, AttemptStarted) if job.attempt else None
    return engine_object(driven) if isinstance(driven, AttemptStarted) else None


async def _newest(journal: Journal, job: Job, kind: type[AttemptStarted] | type[JobCreated]) -> Event | None:
    try:
        newest = await journal.newest(job.id, kind.type)
    except DamagedEvent:
        return None
    return None if newest is None else newest.event
