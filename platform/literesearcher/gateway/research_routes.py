"""/v1/research: create, look up, list, cancel and delete jobs.

Owns: what each of these answers. Refuses to know: how events are streamed (`event_routes`), where jobs are kept.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AwareDatetime
from starlette.responses import Response

from literesearcher.gateway import examples, operations
from literesearcher.gateway.bodies import check_json_type, read_wish
from literesearcher.gateway.context import Gateway, check_query, json_response, known_id
from literesearcher.gateway.preferences import idempotency_key, wait_seconds
from literesearcher.gateway.public import job_object
from literesearcher.gateway.schemas import ResearchWish
from literesearcher.jobs.cancellation import cancel
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.jobs.live import QUEUE, inbox_topic, journal_topic
from literesearcher.jobs.model import ENDED, Job, JobFilter, JobStatus
from literesearcher.jobs.pages import MAX_TEXT
from literesearcher.jobs.spending import budget_of

JobId = Annotated[str, Path(description="A job's id.", examples=[examples.JOB_ID])]


def router(gateway: Gateway) -> APIRouter:
    """The routes over one gateway."""
    tenant_of = Depends(gateway.tenant_of)
    routes = APIRouter(tags=["research"], dependencies=[tenant_of, Depends(check_query)])

    @routes.post("/v1/research", status_code=202, **operations.CREATE)
    async def create_research(request: Request, tenant: str = tenant_of) -> Response:
        key = idempotency_key(request.headers.getlist("idempotency-key"))
        seconds = wait_seconds(request.headers.getlist("prefer"))
        wish = await read_wish(request, ResearchWish)
        new = new_job(
            _spec(wish, key),
            tenant_id=tenant,
            research=gateway.settings.research,
            prompts=gateway.prompts,
            now=gateway.clock.now(),
            fidelity=gateway.settings.tools.fidelity,
        )
        job, created = await gateway.store.create(
            new,
            budget=budget_of(gateway.settings.budgets, tenant),
            refusal=await gateway.refusal(tenant, new.priority),
        )
        if created:
            await gateway.live.ring(QUEUE)
        headers = {"Location": f"/v1/research/{job.id}"}
        if not created:
            headers["Idempotency-Replayed"] = "true"
        if seconds is not None:
            headers["Preference-Applied"] = f"wait={seconds}"
            job = await _ended_within(gateway, request, job, seconds)
        status = 200 if seconds is not None and job.status in ENDED else 202
        return json_response(await gateway.public_job(job), status=status, headers=headers)

    @routes.get("/v1/research", **operations.LIST)
    async def list_research(
        status: Annotated[JobStatus | None, Query(description="Only jobs of this status.")] = None,
        text: Annotated[
            str | None, Query(max_length=MAX_TEXT, description="Only jobs whose question holds this, in any case.")
        ] = None,
        created_from: Annotated[AwareDatetime | None, Query(description="Only jobs of then or later.")] = None,
        created_before: Annotated[AwareDatetime | None, Query(description="Only jobs of before then.")] = None,
        cursor: Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=100, description="Jobs on a page.")] = 20,
        tenant: str = tenant_of,
    ) -> Response:
        only = JobFilter(status=status, text=text, created_from=created_from, created_before=created_before)
        page = await gateway.store.list(tenant, only=only, cursor=cursor, limit=limit)
        data = [job_object(job) for job in page.jobs]
        return json_response({"object": "list", "data": data, "next_cursor": page.next_cursor})

    @routes.get("/v1/research/{job_id}", **operations.GET)
    async def get_research(job_id: JobId, tenant: str = tenant_of) -> Response:
        return json_response(await gateway.public_job(await gateway.job_of(tenant, job_id)))

    @routes.post("/v1/research/{job_id}/cancel", status_code=202, **operations.CANCEL)
    async def cancel_research(request: Request, job_id: JobId, tenant: str = tenant_of) -> Response:
        check_json_type(request, body_required=False)
        job = await cancel(
            gateway.store, gateway.live, tenant_id=tenant, job_id=known_id(job_id), now=gateway.clock.now()
        )
        return json_response(await gateway.public_job(job), status=200 if job.status in ENDED else 202)

    @routes.delete("/v1/research/{job_id}", status_code=204, **operations.DELETE)
    async def delete_research(job_id: JobId, tenant: str = tenant_of) -> Response:
        await gateway.store.delete(tenant, known_id(job_id))
        # Its holder gives up at once, and who follows it learns that it is gone.
        await gateway.live.ring(inbox_topic(job_id))
        await gateway.live.ring(journal_topic(job_id))
        return Response(status_code=204)

    return routes


def _spec(wish: ResearchWish, key: str | None) -> JobSpec:
    messages = None if wish.messages is None else [message.model_dump() for message in wish.messages]
    chosen: dict[str, Any] = {
        name: value
        for name in ("profile", "question_form", "at_context_limit")
        if (value := getattr(wish, name)) is not None
    }
    return JobSpec(
        input=wish.input,
        messages=messages,
        limits=wish.limits.model_dump(exclude_none=True),
        sampling=wish.sampling.model_dump(exclude_none=True),
        tools=wish.tools.model_dump(exclude_none=True),
        priority=wish.priority,
        metadata=dict(wish.metadata),
        idempotency_key=key,
        **chosen,
    )


async def _ended_within(gateway: Gateway, request: Request, job: Job, seconds: int) -> Job:
    """The job when it ends, or as it is when the time is up, the client is gone or the server closes."""
    deadline = gateway.clock.monotonic() + seconds
    async with gateway.live.listen(journal_topic(job.id)) as bell:
        while True:
            job = await gateway.store.get(job.tenant_id, job.id)
            left = deadline - gateway.clock.monotonic()
            if job.status in ENDED or left <= 0 or gateway.closing.is_set() or await request.is_disconnected():
                return job
            await bell.wait(min(left, gateway.pace.poll_seconds))
