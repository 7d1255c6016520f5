"""The worker: claims jobs and drives many of them at once in one event loop, one task a job.

Owns: how many run, when to look for more, what becomes of a job whose driver returns or raises, and the drain.
Refuses to know: what a step of a job is (`driver`), how leases are renewed (`heartbeat`).
Above: the CLI's wiring. Below: the job store, the engine, the tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from literesearcher.engine.port import Engine
from literesearcher.errors import BoundaryError, DurabilityError, UnfoldableEvent
from literesearcher.jobs.live import QUEUE, Bell, Live
from literesearcher.jobs.model import ENDED, SUPPORTED_SCHEMA, Claim, Job
from literesearcher.jobs.ports import Store
from literesearcher.orchestrator.driver import Driver, Outcome
from literesearcher.orchestrator.faults import Faults, NoFaults
from literesearcher.orchestrator.heartbeat import Heartbeat
from literesearcher.orchestrator.journal import JobJournal
from literesearcher.orchestrator.lease import Lease
from literesearcher.orchestrator.model_call import ModelCalls
from literesearcher.orchestrator.retention import purge_forever
from literesearcher.orchestrator.tool_call import ToolCalls
from literesearcher.settings.sections import EngineSection, OrchestratorSection, ResearchSection
from literesearcher.timing.clock import Clock
from literesearcher.timing.retry import RetryPolicy
from literesearcher.tools.port import Tools

LOG = logging.getLogger("literesearcher.orchestrator")


class Orchestrator:
    """Drives jobs of one store with one engine and one tool proxy.

    `attempt_settings` is recorded in each attempt's first event: what bears on its results, without secrets.
    """

    def __init__(
        self,
        *,
        store: Store,
        live: Live,
        engine: Engine,
        tools: Tools,
        orchestrator: OrchestratorSection,
        research: ResearchSection,
        engine_section: EngineSection,
        clock: Clock,
        worker_id: str,
        faults: Faults | None = None,
        attempt_settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._store = store
        self._live = live
        self._engine = engine
        self._tools = tools
        self._section = orchestrator
        self._research = research
        self._engine_section = engine_section
        self._clock = clock
        self._worker_id = worker_id
        self._faults = faults or NoFaults()
        self._attempt_settings = dict(attempt_settings or {})
        self._held = Heartbeat(store=store, live=live, clock=clock, lease_seconds=orchestrator.lease_seconds)
        self._jobs: dict[asyncio.Task[Outcome], Lease] = {}
        self._look = asyncio.Event()
        self._died: BaseException | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve the queue until `stop`, then drain: each running job finishes the effect it is in, within the grace
        period, and is handed back. Cancelling `run` is the hard stop: effects are closed, jobs handed back."""
        async with self._beside(purge=True):
            async with self._live.listen(QUEUE) as bell:
                pump = self._spawn(self._look_when_rung(bell))
                stopper = self._spawn(self._look_when_set(stop))
                try:
                    while not stop.is_set():
                        self._look.clear()
                        await self._claim()
                        self._check()
                        await self._look.wait()
                        self._check()
                finally:
                    pump.cancel()
                    stopper.cancel()
            await self._drain()

    async def run_job(
        self, job_id: str, *, tenant_id: str = "default", on_wait: Callable[[float], None] | None = None
    ) -> Job:
        """Drive that one job to its end and return it; an ended job is returned as it is.

        While another process holds it, waits for its lease to run out or for the job to end; `on_wait` is called with
        the seconds after which a dead holder's lease has surely run out (0.0: the holder is alive). `NotFound` for
        an unknown job, `UnfoldableEvent` for one that only a newer program can go on with.
        """
        async with self._beside(purge=False):
            waiting_since: float | None = None
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
                    await self._see_through(self._start(claims[0], until=asked + self._section.lease_seconds))
                    continue
                if job.status == "queued":
                    await self._refuse_unfoldable(job_id)
                waiting_since = asked if waiting_since is None else waiting_since
                left = max(0.0, self._section.lease_seconds - (asked - waiting_since))
                if on_wait is not None:
                    on_wait(left)
                await self._clock.sleep(self._section.poll_seconds)

    async def _see_through(self, task: asyncio.Task[Outcome]) -> None:
        await asyncio.wait([task])
        self._check()
        if not task.cancelled() and task.exception() is None and task.result() == "unfoldable":
            raise UnfoldableEvent("the job was written by a newer version of the program")

    async def _refuse_unfoldable(self, job_id: str) -> None:
        for envelope in await self._store.read(job_id):
            if envelope.event is None:
                raise UnfoldableEvent(f"job {job_id} was written by a newer version of the program")

    async def _claim(self) -> None:
        free = self._research.max_concurrent_jobs - len(self._jobs)
        if free <= 0:
            return
        until = self._clock.monotonic() + self._section.lease_seconds
        try:
            claims = await self._store.claim(self._worker_id, lease_seconds=self._section.lease_seconds, limit=free)
        except BoundaryError as error:
            LOG.warning("no jobs could be claimed: %s", error.message)
            return
        for claim in claims:
            self._start(claim, until=until)

    def _start(self, claim: Claim, *, until: float) -> asyncio.Task[Outcome]:
        lease = Lease(claim, until=until)
        lease.task = task = asyncio.create_task(self._attend(lease))
        self._jobs[task] = lease
        self._held.add(lease)
        task.add_done_callback(self._job_done)
        return task

    async def _attend(self, lease: Lease) -> Outcome:
        """One job from claim to outcome, with what watches over it."""
        watchers = [self._spawn(self._held.watch(lease)), self._spawn(self._held.await_deadline(lease))]
        try:
            self._faults.reach("after_claim", lease.job_id)
            outcome = await self._outcome(lease, self._driver(lease))
        finally:
            for watcher in watchers:
                watcher.cancel()
            self._held.remove(lease)
        if outcome in ("handed_back", "unfoldable"):
            await self._release(lease, requires_schema=SUPPORTED_SCHEMA + 1 if outcome == "unfoldable" else None)
        return outcome

    async def _outcome(self, lease: Lease, driver: Driver) -> Outcome:
        """The border of one job: whatever happens in it, the worker goes on."""
        try:
            try:
                return await driver.run()
            except (DurabilityError, BoundaryError):
                raise
            except Exception as error:
                LOG.exception("job %s failed on the platform itself", lease.job_id)
                await driver.break_off(error)
                return "ended"
        except UnfoldableEvent as error:
            LOG.warning("job %s is left to a newer program: %s", lease.job_id, error.message)
            return "unfoldable"
        except DurabilityError as error:
            LOG.info("job %s is dropped: %s", lease.job_id, error.message)
            return "lost"
        except BoundaryError as error:
            # Not handed back: the lease running out keeps the next try some seconds away from a store in trouble.
            LOG.error("job %s is let go, its journal cannot be written: %s", lease.job_id, error.message)
            return "lost"

    def _driver(self, lease: Lease) -> Driver:
        return Driver(
            lease=lease,
            journal=JobJournal(store=self._store, live=self._live, clock=self._clock, lease=lease),
            models=ModelCalls(
                engine=self._engine, section=self._engine_section, live=self._live, clock=self._clock, lease=lease
            ),
            tools=ToolCalls(tools=self._tools, engine=self._engine, clock=self._clock, lease=lease),
            engine=self._engine,
            policy=RetryPolicy(tries=self._engine_section.tries),
            clock=self._clock,
            faults=self._faults,
            worker=self._worker_id,
            settings=self._attempt_settings,
        )

    async def _release(self, lease: Lease, *, requires_schema: int | None = None) -> None:
        try:
            await self._store.release(lease.job_id, lease.fence, requires_schema=requires_schema)
        except BoundaryError as error:
            LOG.warning("job %s could not be handed back, its lease will run out: %s", lease.job_id, error.message)
            return
        await self._live.ring(QUEUE)

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

    @contextlib.asynccontextmanager
    async def _beside(self, *, purge: bool) -> AsyncIterator[None]:
        """Heartbeat and purge beside the body; at its end, whatever still runs is closed and handed back."""
        beside = [self._spawn(self._held.beat_forever())]
        days = self._research.retention_days
        if purge and days is not None:
            beside.append(self._spawn(purge_forever(self._store, clock=self._clock, days=days)))
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            running = dict(self._jobs)
            for job in running:
                job.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if self._died is None:
                await asyncio.gather(*(self._release(lease) for lease in running.values()))

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
        lease = self._jobs.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, Exception):
                LOG.error("job %s could not be ended", lease.job_id, exc_info=error)
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
