"""The worker: claims jobs and drives many of them at once in one event loop, one task a job.

Owns: how many run, when to look for more, one job by name, and the drain.
Refuses to know: what becomes of a held job (`attendant`), what a step of it is (`driver`), how leases are renewed
(`heartbeat`).
Above: the CLI's wiring. Below: the job store, the engine, the tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Literal

from literesearcher.engine.port import Engine
from literesearcher.errors import BoundaryError, UnfoldableEvent
from literesearcher.jobs.line import EVEN
from literesearcher.jobs.live import QUEUE, Bell, Live
from literesearcher.jobs.model import ENDED, Claim, Job
from literesearcher.jobs.ports import Store
from literesearcher.orchestrator.admission import Admission, FixedAdmission
from literesearcher.orchestrator.attendant import Attendant
from literesearcher.orchestrator.driver import Outcome
from literesearcher.orchestrator.faults import Faults, NoFaults
from literesearcher.orchestrator.heartbeat import Heartbeat
from literesearcher.orchestrator.lease import Lease
from literesearcher.orchestrator.retention import purge_forever
from literesearcher.settings.sections import BudgetsSection, EngineSection, OrchestratorSection, ResearchSection
from literesearcher.timing.clock import Clock
from literesearcher.tools.port import Tools

LOG = logging.getLogger("literesearcher.orchestrator")


class Orchestrator:
    """Drives jobs of one store with one engine and one tool proxy.

    `compressor`: another engine for the compression of a job's memory, else the same.
    `attempt_settings` is recorded in each attempt's first event: what bears on its results, without secrets.
    `weights`: shares of tenants in what runs at once. `admission`: how many it may hold, else RESEARCH's number.
    `repeats`: whether a call that a job made before is fetched again, or answered from its journal.
    """

    def __init__(
        self,
        *,
        store: Store,
        live: Live,
        engine: Engine,
        compressor: Engine | None = None,
        tools: Tools,
        orchestrator: OrchestratorSection,
        research: ResearchSection,
        engine_section: EngineSection,
        clock: Clock,
        worker_id: str,
        faults: Faults | None = None,
        attempt_settings: Mapping[str, Any] | None = None,
        budgets: BudgetsSection | None = None,
        weights: Mapping[str, float] = EVEN,
        admission: Admission | None = None,
        repeats: Literal["fetch", "journal"] = "fetch",
    ) -> None:
        self._store = store
        self._live = live
        self._section = orchestrator
        self._research = research
        self._weights = weights
        self._admission = admission or FixedAdmission(research.max_concurrent_jobs)
        self._clock = clock
        self._worker_id = worker_id
        self._held = Heartbeat(store=store, live=live, clock=clock, lease_seconds=orchestrator.lease_seconds)
        self._attendant = Attendant(
            store=store,
            live=live,
            engine=engine,
            compressor=compressor,
            tools=tools,
            engine_section=engine_section,
            clock=clock,
            worker_id=worker_id,
            faults=faults or NoFaults(),
            attempt_settings=dict(attempt_settings or {}),
            held=self._held,
            budgets=budgets or BudgetsSection(),
            repeats=repeats,
        )
        self._jobs: dict[asyncio.Task[Outcome], Lease] = {}
        """Those that `run` claimed; `run_job` keeps its own."""
        self._callers = 0
        self._heart: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        self._died: BaseException | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve the queue until `stop`, then drain: each running job finishes the effect it is in, within the grace
        period, and is handed back. Cancelling `run` is the hard stop: effects are closed, jobs handed back."""
        async with self._beating():
            beside = [self._spawn(self._look_when_set(stop))]
            days = self._research.retention_days
            if days is not None:
                beside.append(self._spawn(purge_forever(self._store, clock=self._clock, days=days)))
            try:
                async with self._live.listen(QUEUE) as bell:
                    beside.append(self._spawn(self._look_when_rung(bell)))
                    while not stop.is_set():
                        self._look.clear()
                        await self._claim()
                        self._check()
                        await self._look.wait()
                        self._check()
                await self._drain()
            finally:
                for task in beside:
                    task.cancel()
                await self._close(dict(self._jobs))

    async def run_job(
        self, job_id: str, *, tenant_id: str = "default", on_wait: Callable[[float], None] | None = None
    ) -> Job:
        """Drive that one job to its end and return it; an ended job is returned as it is. Many may run at once.

        While another process holds it, waits for its lease to run out or for the job to end; `on_wait` is called with
        the seconds after which a dead holder's lease has surely run out (0.0: the holder is alive). `NotFound` for
        an unknown job, `UnfoldableEvent` for one that only a newer program can go on with. Cancelled, it closes the
        running effect and hands the job back.
        """
        waiting_since: float | None = None
        async with self._beating():
            while True:
                job = await self._store.get(tenant_id, job_id)
                if job.status in ENDED:
                    return job
                asked = self._clock.monotonic()
                claims = await self._store.claim(
                    self._worker_id, lease_seconds=self._section.lease_seconds, limit=1, job_id=job_id
                )
                if claims:
                    waiting_since = None
                    await self._see_through(claims[0], until=asked + self._section.lease_seconds)
                    continue
                if job.status == "queued":
                    await self._refuse_unfoldable(job_id)
                waiting_since = asked if waiting_since is None else waiting_since
                if on_wait is not None:
                    on_wait(max(0.0, self._section.lease_seconds - (asked - waiting_since)))
                await self._clock.sleep(self._section.poll_seconds)

    async def _see_through(self, claim: Claim, *, until: float) -> None:
        lease, task = self._start(claim, until=until)
        try:
            await asyncio.wait([task])
        finally:
            await self._close({task: lease})
        self._check()
        if not task.cancelled() and task.exception() is None and task.result() == "unfoldable":
            raise UnfoldableEvent(f"job {claim.job.id} was written by a newer version of the program")

    async def _refuse_unfoldable(self, job_id: str) -> None:
        for envelope in await self._store.read(job_id):
            if envelope.event is None:
                raise UnfoldableEvent(f"job {job_id} was written by a newer version of the program")

    async def _claim(self) -> None:
        free = await self._admission.room(len(self._jobs))
        if free <= 0:
            return
        until = self._clock.monotonic() + self._section.lease_seconds
        try:
            claims = await self._store.claim(
                self._worker_id, lease_seconds=self._section.lease_seconds, limit=free, weights=self._weights
            )
        except BoundaryError as error:
            LOG.warning("no jobs could be claimed: %s", error.message)
            return
        for claim in claims:
            lease, task = self._start(claim, until=until)
            self._jobs[task] = lease

    def _start(self, claim: Claim, *, until: float) -> tuple[Lease, asyncio.Task[Outcome]]:
        lease = Lease(claim, until=until)
        lease.task = task = asyncio.create_task(self._attendant.attend(lease), name=claim.job.id)
        self._held.add(lease)
        task.add_done_callback(self._job_done)
        return lease, task

    async def _drain(self) -> None:
        if not self._jobs:
            return
        for lease in self._jobs.values():
            lease.draining = True
        finished = asyncio.ensure_future(asyncio.wait(list(self._jobs)))
        timer = asyncio.ensure_future(self._clock.sleep(self._section.grace_seconds))
        try:
            await asyncio.wait([finished, timer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            finished.cancel()
            timer.cancel()
        self._check()

    async def _close(self, jobs: dict[asyncio.Task[Outcome], Lease]) -> None:
        """Whatever still runs is closed and handed back; nothing is, where this worker is taken to be dead."""
        left = {task: lease for task, lease in jobs.items() if not task.done()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._died is None:
            await asyncio.gather(*(self._attendant.release(lease) for lease in left.values()))

    @contextlib.asynccontextmanager
    async def _beating(self) -> AsyncIterator[None]:
        """One heartbeat for all jobs, however many callers there are."""
        self._callers += 1
        if self._heart is None:
            self._heart = self._spawn(self._held.beat_forever())
        try:
            yield
        finally:
            self._callers -= 1
            if not self._callers:
                self._heart.cancel()
                self._heart = None

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._beside_done)
        return task

    def _beside_done(self, task: asyncio.Task[Any]) -> None:
        """Without its heartbeat or bells the worker would run on blindly: what ends one of them ends the worker."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._died = self._died or error
            self._look.set()

    def _job_done(self, task: asyncio.Task[Outcome]) -> None:
        """A job that could not even be ended stays in the store, and its lease runs out; the worker goes on."""
        self._jobs.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, Exception):
                LOG.error("job %s could not be ended", task.get_name(), exc_info=error)
            else:
                self._died = self._died or error
        self._look.set()

    def _check(self) -> None:
        if self._died is not None:
            raise self._died

    async def _look_when_rung(self, bell: Bell) -> None:
        while True:
            await bell.wait(self._section.poll_seconds)
            self._look.set()

    async def _look_when_set(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._look.set()
