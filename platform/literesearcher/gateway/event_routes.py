"""/v1/research/{id}/events: a job's journal as server-sent events, as JSON lines, or page by page.

Owns: where a client re-joins and in which form it reads. Refuses to know: how a stream keeps its order (`stream`).
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from literesearcher.errors import CallerError, Unauthorized
from literesearcher.gateway import examples, operations
from literesearcher.gateway.context import Gateway, check_query, json_response
from literesearcher.gateway.public import event_object
from literesearcher.gateway.stream import JobStream
from literesearcher.gateway.wire import FrameResponse, negotiate
from literesearcher.jobs.model import ENDED, Job
from literesearcher.research.events import JobEnded

_SEQ = re.compile(r"[0-9]{1,15}")


def router(gateway: Gateway) -> APIRouter:
    """The route over one gateway."""
    tenant_of = Depends(gateway.tenant_of)
    routes = APIRouter(tags=["research"], dependencies=[tenant_of, Depends(check_query)])

    @routes.get("/v1/research/{job_id}/events", **operations.EVENTS)
    async def research_events(
        request: Request,
        job_id: Annotated[str, Path(description="A job's id.", examples=[examples.JOB_ID])],
        after: Annotated[int | None, Query(ge=0, description="Sequence number after which to go on.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="JSON page: events on it.")] = 100,
        tenant: str = tenant_of,
    ) -> Response:
        form = negotiate(request.headers.get("accept"))
        job = await gateway.job_of(tenant, job_id)
        start = _start(request, after, job)
        if form == "application/json":
            return await _page(gateway, job, start, limit)

        async def admitted() -> bool:
            try:
                return await gateway.tenant_of(request) == tenant
            except Unauthorized:
                return False

        stream = JobStream(
            store=gateway.store,
            live=gateway.live,
            clock=gateway.clock,
            pace=gateway.pace,
            closing=gateway.closing,
            admitted=admitted,
        )
        return FrameResponse(
            lambda emit: stream.run(job, start, emit),
            media_type=form,
            stall_seconds=gateway.pace.stall_seconds,
            # A proxy that gathers the answer before it passes it on would hold live text back.
            headers={"X-Accel-Buffering": "no"},
        )

    return routes


def _start(request: Request, after: int | None, job: Job) -> int:
    """`Last-Event-ID` where a client re-joins by itself (it is newer than the URL it was given), else `after`."""
    name = "after"
    last = request.headers.get("last-event-id")
    if last is not None and last.strip():
        name = "Last-Event-ID"
        if _SEQ.fullmatch(last.strip()) is None:
            raise CallerError("it must be the number of an event", field=name)
        after = int(last)
    start = after or 0
    if start > job.last_seq:
        raise CallerError(f"the journal has {job.last_seq} events", field=name)
    return start


async def _page(gateway: Gateway, job: Job, after: int, limit: int) -> Response:
    events = await gateway.store.read(job.id, after=after, limit=limit)
    ended = events[-1].type == JobEnded.type if events else job.status in ENDED
    return json_response(
        {
            "object": "list",
            "data": [event_object(envelope) for envelope in events],
            "next_after": events[-1].seq if events else after,
            "ended": ended,
        }
    )
