"""A bench for orchestrators: one store, one live, one clock, and any number of workers over the engine and tools given.

Owns: making jobs and workers, running workers beside a test, waiting on what happens. Refuses to know: which store,
which engine; what a test expects. Waits are on conditions, with a deadline that only a hang meets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Literal

from literesearcher.engine.port import Engine
from literesearcher.jobs.live import QUEUE, Live
from literesearcher.jobs.model import ENDED, Job, NewJob
from literesearcher.jobs.ports import Store
from literesearcher.orchestrator.admission import Admission
from literesearcher.orchestrator.faults import Faults
from literesearcher.orchestrator.worker import Orchestrator
from literesearcher.research.events import Event, JobCreated
from literesearcher.research.messages import Limits, Sampling
from literesearcher.research.tool_options import DEFAULT_OPTIONS, ToolOptions
from literesearcher.settings.sections import BudgetsSection, EngineSection, OrchestratorSection, ResearchSection
from literesearcher.timing.clock import Clock
from literesearcher.tools.port import Tools

HANG_SECONDS = 60.0


class Bench:
    """Workers made here share everything; `worker` may be given another engine or tools, as another process has."""

    def __init__(
        self,
        *,
        store: Store,
        live: Live,
        clock: Clock,
        engine: Engine,
        tools: Tools,
        orchestrator: OrchestratorSection | None = None,
        research: ResearchSection | None = None,
        engine_section: EngineSection | None = None,
        budgets: BudgetsSection | None = None,
        repeats: Literal["fetch", "journal"] = "fetch",
    ) -> None:
        self.store = store
        self.live = live
        self.clock = clock
        self.engine = engine
        self.tools = tools
        self.orchestrator = orchestrator or OrchestratorSection(poll_seconds=0.02)
        self.research = research or ResearchSection()
        self.engine_section = engine_section or EngineSection()
        self.budgets = budgets
        self.repeats: Literal["fetch", "journal"] = repeats

    async def create(
        self,
        question: str = "q",
        *,
        tenant_id: str = "default",
        priority: int = 0,
        timeout_seconds: float = 9000.0,
        limits: Limits | None = None,
        tools: ToolOptions = DEFAULT_OPTIONS,
    ) -> Job:
        """Create a job and ring the queue's bell, as an intake does."""
        now = self.clock.now()
        created = JobCreated(
            input=question,
            system_prompt="s",
            current_date=now.date().isoformat(),
            profile="inference",
            question_form="bare",
            at_context_limit="answer",
            sampling=Sampling(),
            limits=limits or Limits(timeout_seconds=timeout_seconds),
            deadline_at=(now + timedelta(seconds=timeout_seconds)).timestamp(),
            tools=tools,
        )
        job, _ = await self.store.create(NewJob(tenant_id, created, now, priority=priority))
        await self.live.ring(QUEUE)
        return job

    def worker(
        self,
        name: str = "worker",
        *,
        faults: Faults | None = None,
        engine: Engine | None = None,
        tools: Tools | None = None,
        admission: Admission | None = None,
    ) -> Orchestrator:
        """An orchestrator on the shared store."""
        return Orchestrator(
            store=self.store,
            live=self.live,
            engine=engine or self.engine,
            tools=tools or self.tools,
            orchestrator=self.orchestrator,
            research=self.research,
            engine_section=self.engine_section,
            clock=self.clock,
            worker_id=name,
            faults=faults,
            budgets=self.budgets,
            repeats=self.repeats,
            admission=admission,
        )

    @contextlib.asynccontextmanager
    async def serving(self, *workers: Orchestrator) -> AsyncIterator[asyncio.Event]:
        """Run the workers (one, where none is given) beside the body; stop and drain them at its end."""
        stop = asyncio.Event()
        tasks = [asyncio.create_task(worker.run(stop)) for worker in workers or (self.worker(),)]
        try:
            yield stop
        finally:
            stop.set()
            done, hung = await asyncio.wait(tasks, timeout=HANG_SECONDS)
            for task in hung:
                task.cancel()
            assert not hung, "a worker did not stop"
            for task in done:
                task.result()

    async def until(self, condition: Callable[[], bool | Awaitable[bool]]) -> None:
        """Wait until the condition holds. AssertionError where it never comes to hold."""
        async with asyncio.timeout(HANG_SECONDS):
            while True:
                holds = condition()
                if holds if isinstance(holds, bool) else await holds:
                    return
                await asyncio.sleep(0.002)

    async def job(self, job: Job) -> Job:
        """The job as it is now."""
        return await self.store.get(job.tenant_id, job.id)

    async def ended(self, job: Job) -> Job:
        """The job once it has ended."""

        async def over() -> bool:
            return (await self.job(job)).status in ENDED

        await self.until(over)
        return await self.job(job)

    async def events(self, job: Job) -> list[Event]:
        """The job's journal."""
        return [row.event for row in await self.store.read(job.id) if row.event is not None]

    async def types(self, job: Job) -> list[str]:
        """The types of the job's events, in order."""
        return [event.type for event in await self.events(job)]
