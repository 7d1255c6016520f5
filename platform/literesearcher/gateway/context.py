"""What every route of one gateway is given: the store, live text, settings, and the small steps that routes share.

Owns: nothing that outlives the process. Made once in `create_app` and handed to each group of routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from literesearcher.engine.port import EngineInfo
from literesearcher.errors import NotFound, QueueFull
from literesearcher.gateway.auth import Doors
from literesearcher.gateway.problems import InvalidFields
from literesearcher.gateway.raw_model.port import RawModel
from literesearcher.gateway.stream import StreamPace
from literesearcher.gateway.whole_job import whole_job
from literesearcher.jobs.ids import is_id
from literesearcher.jobs.live import Live
from literesearcher.jobs.model import Job
from literesearcher.jobs.ports import Store
from literesearcher.research.prompts import Prompts
from literesearcher.settings.model import Settings
from literesearcher.timing.clock import Clock

_SHOWN_NAMES = 20
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Gateway:
    """See the module. `closing` is set when the server begins to stop: long answers end then."""

    store: Store
    live: Live
    settings: Settings
    prompts: Prompts
    clock: Clock
    engine_info: Callable[[], Awaitable[EngineInfo]]
    doors: Doors
    pace: StreamPace
    raw_model: RawModel
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def tenant_of(self, request: Request) -> str:
        """The tenant that the request speaks for, or `Unauthorized`."""
        return await self.doors.tenant_of(request.headers)

    async def job_of(self, tenant_id: str, job_id: str) -> Job:
        """The tenant's job, or `NotFound`; what has no id's form is not looked for."""
        return await self.store.get(tenant_id, known_id(job_id))

    async def public_job(self, job: Job) -> dict[str, Any]:
        """The job object with the engine that drove it last, what it asks of its tools, and its place in the queue."""
        line = None
        if job.status == "queued":
            line = await self.store.line(job.tenant_id, priority=job.priority, job=job)
        return await whole_job(self.store, job, line=line, weights=self.settings.admission.weights)

    async def refusal(self, tenant_id: str, priority: int) -> QueueFull | None:
        """Why no job of that priority may come now; None where it may."""
        admission = self.settings.admission
        if admission.max_wait_seconds is None:
            return None
        line = await self.store.line(tenant_id, priority=priority)
        seconds = line.refusal_seconds(admission.max_wait_seconds, admission.weights)
        if seconds is None:
            return None
        return QueueFull(
            f"{line.ahead(admission.weights)} jobs stand before a new one, which would wait longer than jobs may wait",
            retry_after=seconds,
        )


def check_query(request: Request) -> None:
    """InvalidFields where the query names a parameter that its route has not, or names one twice."""
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    names = [name for name, _ in request.query_params.multi_items()]
    wrong = {
        name[:_SHOWN_CHARACTERS]: "there is no such parameter" if name not in known else "the parameter is given twice"
        for name in names
        if name not in known or names.count(name) > 1
    }
    if wrong:
        raise InvalidFields(list(wrong.items())[:_SHOWN_NAMES])


def known_id(job_id: str) -> str:
    """The id, or `NotFound` where it has not the form of one."""
    if not is_id(job_id, "job"):
        raise NotFound("there is no such job")
    return job_id


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(value), status_code=status, headers=dict(headers or {}), media_type="application/json")
