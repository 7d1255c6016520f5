"""The border of one held job: from its claim to what became of it, whatever happens in between.

Owns: putting a job's driver together, the watchers beside it (letters, deadline), and what each kind of failure means
for the job: ended, handed back, left to a newer program, or somebody else's. No failure of a job gets past here.
Refuses to know: how many jobs run, when they are claimed. Above: the worker. Below: driver, heartbeat, store.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

from literesearcher.engine.load import Keeping
from literesearcher.engine.port import Engine
from literesearcher.errors import BoundaryError, DamagedEvent, DurabilityError, UnfoldableEvent
from literesearcher.jobs.lifecycle import damaged_end
from literesearcher.jobs.live import QUEUE, Live, journal_topic
from literesearcher.jobs.model import SUPPORTED_SCHEMA
from literesearcher.jobs.ports import Store
from literesearcher.jobs.spending import budget_of
from literesearcher.orchestrator.driver import Driver, Outcome
from literesearcher.orchestrator.faults import Faults
from literesearcher.orchestrator.heartbeat import Heartbeat
from literesearcher.orchestrator.journal import JobJournal
from literesearcher.orchestrator.lease import Lease
from literesearcher.orchestrator.model_call import ModelCalls
from literesearcher.orchestrator.tool_call import ToolCalls
from literesearcher.settings.sections import BudgetsSection, EngineSection
from literesearcher.timing.clock import Clock
from literesearcher.timing.retry import RetryPolicy
from literesearcher.tools.port import Tools

LOG = logging.getLogger("literesearcher.orchestrator")


class Attendant:
    """Attends to any number of held jobs, one call of `attend` each."""

    def __init__(
        self,
        *,
        store: Store,
        live: Live,
        engine: Engine,
        compressor: Engine | None,
        tools: Tools,
        engine_section: EngineSection,
        clock: Clock,
        worker_id: str,
        faults: Faults,
        attempt_settings: dict[str, Any],
        held: Heartbeat,
        budgets: BudgetsSection,
        repeats: Literal["fetch", "journal"],
    ) -> None:
        self._store = store
        self._live = live
        self._engine = engine
        self._compressor = compressor or engine
        self._tools = tools
        self._engine_section = engine_section
        self._clock = clock
        self._worker_id = worker_id
        self._faults = faults
        self._attempt_settings = attempt_settings
        self._held = held
        self._budgets = budgets
        self._repeats = repeats

    async def attend(self, lease: Lease) -> Outcome:
        """Drive the job, with what watches over it. Raises only what ends the process, and cancellation."""
        watchers = [
            asyncio.create_task(self._held.watch(lease)),
            asyncio.create_task(self._held.await_deadline(lease)),
        ]
        try:
            self._faults.reach("after_claim", lease.job_id)
            outcome = await self._outcome(lease, self._driver(lease))
        finally:
            for watcher in watchers:
                watcher.cancel()
            self._held.remove(lease)
        if outcome == "ended" and isinstance(self._engine, Keeping):
            await self._let_go(self._engine, lease.job_id)
        if outcome in ("handed_back", "unfoldable"):
            await self.release(lease, requires_schema=SUPPORTED_SCHEMA + 1 if outcome == "unfoldable" else None)
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
        except DamagedEvent as error:
            return await self._give_up(lease, error)
        except BoundaryError as error:
            # Not handed back: the lease running out keeps the next try some seconds away from a store in trouble.
            LOG.error("job %s is let go, the store is in trouble: %s", lease.job_id, error.message)
            return "lost"

    async def _give_up(self, lease: Lease, error: DamagedEvent) -> Outcome:
        """Nobody will ever read this journal to its end: say so in the job's row, instead of trying again forever."""
        LOG.error("job %s is ended, its journal is damaged: %s", lease.job_id, error.message)
        try:
            await self._store.end_unread(lease.job_id, lease.fence, at=self._clock.now(), end=damaged_end(error))
        except (DurabilityError, BoundaryError) as trouble:
            LOG.error("job %s could not be ended: %s", lease.job_id, trouble.message)
            return "lost"
        await self._live.ring(journal_topic(lease.job_id))
        return "ended"

    async def _let_go(self, engine: Keeping, job_id: str) -> None:
        """Whoever keeps the conversation for its next turn waits in vain."""
        try:
            await engine.release(job_id)
        except BoundaryError as error:
            LOG.warning("job %s is kept by the engine until it is crowded out: %s", job_id, error.message)

    def _driver(self, lease: Lease) -> Driver:
        return Driver(
            lease=lease,
            journal=JobJournal(
                store=self._store,
                live=self._live,
                clock=self._clock,
                lease=lease,
                budget=budget_of(self._budgets, lease.job.tenant_id),
            ),
            models=ModelCalls(
                engine=self._engine,
                compressor=self._compressor,
                section=self._engine_section,
                live=self._live,
                clock=self._clock,
                lease=lease,
            ),
            tools=ToolCalls(tools=self._tools, engine=self._engine, clock=self._clock, lease=lease),
            engine=self._engine,
            policy=RetryPolicy(tries=self._engine_section.tries),
            clock=self._clock,
            faults=self._faults,
            worker=self._worker_id,
            settings=self._attempt_settings,
            repeats=self._repeats,
        )

    async def release(self, lease: Lease, *, requires_schema: int | None = None) -> None:
        """Hand the job back to the queue, and ring its bell."""
        try:
            await self._store.release(lease.job_id, lease.fence, requires_schema=requires_schema)
        except BoundaryError as error:
            LOG.warning("job %s could not be handed back, its lease will run out: %s", lease.job_id, error.message)
            return
        await self._live.ring(QUEUE)
