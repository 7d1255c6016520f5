"""Runs the rollouts of a dataset as durable jobs, several at once, each exactly to one result.

Owns: which rollouts are due, how many run at once, the result line. Refuses to know: files (`batch_state`), how a job
is driven. A rollout that was begun before a kill is the same job afterwards: by its id, or by its idempotency key
where the kill fell between the job's creation and its note.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from literesearcher.cli.batch_state import FAILED, OUT_OF_BUDGET, BatchFolder, Rollout
from literesearcher.cli.dataset import BrokenLine, Item
from literesearcher.cli.job_options import tools_wish
from literesearcher.cli.session import TENANT
from literesearcher.cli.wiring import Platform
from literesearcher.errors import CallerError, NotFound
from literesearcher.gateway.public import job_object
from literesearcher.jobs.intake import JobSpec, digest, new_job
from literesearcher.jobs.model import Job, NewJob
from literesearcher.jobs.spending import budget_of


@dataclass(frozen=True, slots=True)
class Due:
    """A rollout to run, as its try number `tried` (0 for the first)."""

    item: Item
    rollout: Rollout
    tried: int


def due_rollouts(items: Sequence[Item], rollouts: int, folder: BatchFolder, *, retry_failed: bool) -> list[Due]:
    """What is left to do, question by question, so that early results cover whole questions."""
    due = []
    for item in items:
        for number in range(1, rollouts + 1):
            rollout = Rollout(item.id, item.digest, number)
            status = folder.finished.get(rollout)
            if status in (None, OUT_OF_BUDGET) or (retry_failed and status in FAILED):
                due.append(Due(item, rollout, folder.tries.get(rollout, 0)))
    return due


def under_wishes(items: Sequence[Item], wishes: Mapping[str, Any]) -> list[Item]:
    """The items as other items than the same ones asked otherwise: what was finished under other options was not
    finished under these."""
    if not wishes:
        return list(items)
    return [replace(item, digest=digest([item.digest, wishes])) for item in items]


class BatchRun:
    """One run of a batch over one platform."""

    def __init__(
        self,
        platform: Platform,
        folder: BatchFolder,
        *,
        wishes: Mapping[str, Any],
        on_start: Callable[[Due], None],
        on_result: Callable[[Due, Job], None],
    ) -> None:
        self._platform = platform
        self._folder = folder
        self._wishes = wishes
        self._on_start = on_start
        self._on_result = on_result

    def refuse(self, items: Sequence[Item]) -> tuple[list[Item], list[BrokenLine]]:
        """Split off the items that no job would take, before anything runs. CallerError for wishes that none would."""
        self._job_of(JobSpec(input="?", limits=self._limits, tools=tools_wish(self._wishes)))
        good, broken = [], []
        for item in items:
            try:
                self._new_job(Due(item, Rollout(item.id, item.digest, 1), 0))
                good.append(item)
            except CallerError as error:
                broken.append(BrokenLine(item.line, error.message))
        return good, broken

    async def run(self, due: Sequence[Due], *, concurrency: int) -> None:
        """All of them. The first error ends the run; then, and when cancelled, running jobs are handed back."""
        left = iter(due)
        drive = self._platform.orchestrator().run_job

        async def worker() -> None:
            for next_due in left:
                await self._one(next_due, drive)

        workers = [asyncio.create_task(worker()) for _ in range(min(concurrency, len(due)))]
        try:
            for ended in asyncio.as_completed(workers):
                await ended
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _one(self, due: Due, drive: Callable[..., Awaitable[Job]]) -> None:
        job = await self._job(due)
        self._on_start(due)
        ended = await drive(job.id, tenant_id=TENANT)
        self._folder.remember_result(due.rollout, result_line(due, ended))
        self._on_result(due, ended)
        if ended.stop_reason == "budget_spent":
            # Others would only follow: their questions are asked when there is money for their answers.
            raise CallerError(
                "the day's budget for tool calls is spent: run the same command again after 00:00 UTC to go on",
                code="budget_spent",
            )

    async def _job(self, due: Due) -> Job:
        known = self._folder.jobs.get((due.rollout, due.tried))
        if known is not None:
            try:
                return await self._platform.store.get(TENANT, known)
            except NotFound:
                # Deleted, or another store: run it anew.
                pass
        budget = budget_of(self._platform.settings.budgets, TENANT)
        job, _ = await self._platform.store.create(self._new_job(due), budget=budget)
        self._folder.remember_job(due.rollout, due.tried, job.id)
        return job

    @property
    def _limits(self) -> dict[str, Any]:
        return {"max_tool_cost_usd": self._wishes["max_tool_cost"]} if "max_tool_cost" in self._wishes else {}

    def _new_job(self, due: Due) -> NewJob:
        name = f"{self._folder.run_id} {due.item.id} {due.item.digest} {due.rollout.number} {due.tried}"
        return self._job_of(
            JobSpec(
                input=due.item.question,
                messages=due.item.messages,
                metadata={"batch": self._folder.run_id, "item": due.item.id[:200], "rollout": due.rollout.number},
                limits=self._limits,
                tools=tools_wish(self._wishes),
                idempotency_key=f"batch-{hashlib.sha256(name.encode()).hexdigest()}",
            )
        )

    def _job_of(self, spec: JobSpec) -> NewJob:
        settings = self._platform.settings
        return new_job(
            spec,
            tenant_id=TENANT,
            research=settings.research,
            prompts=self._platform.prompts,
            now=self._platform.clock.now(),
            fidelity=settings.tools.fidelity,
        )


def result_line(due: Due, job: Job) -> dict[str, Any]:
    """One line of results.jsonl. `seconds`: wall clock from the job's start to its end, downtime included."""
    public = job_object(job)
    began = job.started_at or job.created_at
    return {
        "item": due.item.id,
        "rollout": due.rollout.number,
        "question": due.item.asked,
        "answer": due.item.answer,
        "output": job.output_text,
        "status": job.status,
        "stop_reason": job.stop_reason,
        "citations": (public["output"] or {}).get("citations", []),
        "error": public["error"],
        "job": job.id,
        "usage": public["usage"],
        "seconds": round((job.ended_at - began).total_seconds(), 3) if job.ended_at else None,
        "digest": due.item.digest,
    }
