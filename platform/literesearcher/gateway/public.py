"""The public JSON forms of jobs and events: what clients, the CLI's --json and dashboards read.

Owns: field names and how instants are written. Refuses to know: HTTP, who asks, the store.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from literesearcher.jobs.line import Line
from literesearcher.jobs.live import Delta
from literesearcher.jobs.model import Envelope, Job
from literesearcher.jobs.spending import Budget, Spend, day_of, next_day
from literesearcher.research.events import AttemptStarted, JobCreated

DELTA_TYPE = "turn.delta"
RESTARTED_TYPE = "turn.restarted"


def instant(value: datetime | None) -> str | None:
    """ISO 8601 in UTC with microseconds and a Z."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def job_object(
    job: Job,
    *,
    engine: Mapping[str, Any] | None = None,
    tools: Mapping[str, Any] | None = None,
    queue: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The job as clients see it. `output` is None until there is one; `engine` (see `engine_object`) is None where
    no worker has taken the job yet, and it, `tools` (see `tools_object`) and `queue` (see `queue_object`) are None
    where the caller did not look."""
    output = None
    if job.output_text is not None:
        citations = [
            {"url": cited.url, "title": cited.title, "quote": cited.quote, "seq": cited.seq} for cited in job.citations
        ]
        output = {"text": job.output_text, "citations": citations}
    error = None
    if job.error_code is not None:
        error = {"code": job.error_code, "message": job.error_message or ""}
    path = f"/v1/research/{job.id}"
    return {
        "id": job.id,
        "object": "research.job",
        "status": job.status,
        "stop_reason": job.stop_reason,
        "input": job.input,
        "output": output,
        "usage": dataclasses.asdict(job.usage),
        "error": error,
        "created_at": instant(job.created_at),
        "started_at": instant(job.started_at),
        "ended_at": instant(job.ended_at),
        "deadline_at": instant(job.deadline_at),
        "priority": job.priority,
        "attempt": job.attempt,
        "last_seq": job.last_seq,
        "engine": None if engine is None else dict(engine),
        "tools": None if tools is None else dict(tools),
        "queue": None if queue is None else dict(queue),
        "metadata": job.metadata,
        "links": {"self": path, "events": f"{path}/events", "cancel": f"{path}/cancel"},
    }


def engine_object(event: AttemptStarted) -> dict[str, Any]:
    """Which engine drove an attempt. `language_model` False says plainly that no language model wrote the texts."""
    return {"kind": event.engine, "model": event.model, "language_model": event.engine != "extractive"}


def tools_object(event: JobCreated) -> dict[str, Any]:
    """What the job asks of its tools."""
    options = dataclasses.asdict(event.tools)
    options["sources"] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in options["sources"].items()
    }
    return options


def queue_object(line: Line, weights: Mapping[str, float]) -> dict[str, Any]:
    """Where a job that waits stands. Both are estimates; `start_seconds` is None where nothing tells."""
    seconds = line.start_seconds(weights)
    return {"position": line.ahead(weights) + 1, "start_seconds": None if seconds is None else round(seconds, 1)}


def usage_object(tenant_id: str, spent: Spend, budget: Budget, at: datetime) -> dict[str, Any]:
    """What a tenant spent on tools in the day of that instant, and what it may."""
    return {
        "object": "usage",
        "tenant": tenant_id,
        "day": day_of(at),
        "tool_calls": spent.calls,
        "tool_cost_usd": spent.usd,
        "limits": {"tool_calls": budget.calls_per_day, "tool_cost_usd": budget.usd_per_day},
        "resets_at": instant(next_day(at)),
    }


def event_object(envelope: Envelope) -> dict[str, Any]:
    """A journal event. `id` and `seq` are the same number; `data` is the payload as it was journalled."""
    return {
        "id": envelope.seq,
        "object": "research.event",
        "job": envelope.job_id,
        "seq": envelope.seq,
        "type": envelope.type,
        "version": envelope.version,
        "at": instant(envelope.at),
        "attempt": envelope.attempt,
        "data": envelope.payload,
    }


def delta_object(delta: Delta) -> dict[str, Any]:
    """A piece of live text, or the word that a turn starts over. It has no `id`: it is heard once and not kept."""
    live: dict[str, Any] = {
        "object": "research.delta",
        "job": delta.job_id,
        "type": RESTARTED_TYPE if delta.kind == "restarted" else DELTA_TYPE,
        "turn": delta.turn,
        "attempt": delta.attempt,
        "offset": delta.offset,
    }
    if delta.kind == "text":
        live["text"] = delta.text
    return live
