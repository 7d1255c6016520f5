"""One job from claim to end: fold its journal, then decide, do, journal, again and again.

Owns: the order of things. An intent is committed before its effect starts, a result before anything follows from it;
what belongs together goes into one transaction (a result with the next intent), so a usual turn costs two.
Refuses to know: how jobs are claimed and leases renewed, how a model or a tool is called, what the machine decides.
"""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import datetime
from typing import Any, Literal

from literesearcher.engine.port import Engine, EngineInfo
from literesearcher.errors import BoundaryError, BudgetSpent
from literesearcher.jobs.spending import day_of
from literesearcher.orchestrator.faults import FaultPoint, Faults
from literesearcher.orchestrator.journal import JobJournal
from literesearcher.orchestrator.lease import Lease
from literesearcher.orchestrator.model_call import ModelCalls, failure, readable
from literesearcher.orchestrator.tool_call import ToolCalls
from literesearcher.research import machine
from literesearcher.research.commands import CallTool, End, Generate, Respond
from literesearcher.research.events import (
    AttemptStarted,
    BudgetReached,
    CancelRequested,
    DeadlineReached,
    EffectFailed,
    EffectUnknown,
    Event,
    JobCreated,
    JobEnded,
    ToolCompleted,
    ToolStarted,
    TurnCompleted,
    TurnStarted,
)
from literesearcher.timing.clock import Clock
from literesearcher.timing.retry import RetryPolicy, retrying

Outcome = Literal["ended", "handed_back", "lost", "unfoldable"]
"""How a claim ended: the job is over, back in the queue, somebody else's, or for a newer program."""
POINTS: tuple[tuple[tuple[type[Any], ...], FaultPoint, FaultPoint], ...] = (
    ((TurnCompleted, ToolCompleted, EffectFailed), "before_result", "after_result"),
    ((TurnStarted, ToolStarted), "before_intent", "after_intent"),
    ((JobEnded,), "before_end", "after_end"),
)
"""The fault points around a commit, by what is committed."""


class Driver:
    """Drives one held job. `run` returns at the job's end, or earlier when the worker drains."""

    def __init__(
        self,
        *,
        lease: Lease,
        journal: JobJournal,
        models: ModelCalls,
        tools: ToolCalls,
        engine: Engine,
        policy: RetryPolicy,
        clock: Clock,
        faults: Faults,
        worker: str,
        settings: dict[str, Any],
        repeats: Literal["fetch", "journal"],
    ) -> None:
        self._lease = lease
        self._journal = journal
        self._models = models
        self._tools = tools
        self._engine = engine
        self._policy = policy
        self._clock = clock
        self._faults = faults
        self._worker = worker
        self._settings = settings
        self._repeats = repeats
        self._state = machine.initial()
        self._created: JobCreated | None = None
        self._staged: list[Event] = []
        self._staged_at: datetime | None = None
        self._stopping = False

    async def run(self) -> Outcome:
        """Go on with the job until it ends. Errors of the store and of the lease come out as they are."""
        async for seq, at, event in self._journal.replay():
            if isinstance(event, JobCreated):
                self._created = event
            self._state = machine.apply(self._state, event, seq=seq, at=at)
        if self._lease.draining:
            return "handed_back"
        await self._begin()
        while True:
            command = machine.decide(self._state)
            if command is None:
                return "ended"
            if not isinstance(command, End) and self._stop_asked():
                continue
            match command:
                case End():
                    self._stage(command.event)
                    await self._commit()
                    return "ended"
                case Respond():
                    self._stage(await self._tools.respond(command))
                case Generate() | CallTool():
                    if self._lease.draining:
                        await self._commit()
                        return "handed_back"
                    await self._perform(command)

    async def break_off(self, error: Exception) -> None:
        """End a job that this program cannot go on with, keeping everything it had."""
        failed = EffectFailed(turn=self._state.turn, code="internal_error", message=type(error).__name__)
        ended = JobEnded(
            stop_reason="internal_error",
            status="failed",
            output_text=self._state.remark,
            citations=[],
            usage=self._state.usage,
            error_code="internal_error",
            error_message=f"The platform failed on this job ({type(error).__name__}); its log has the details.",
        )
        at = self._journal.instant()
        try:
            await self._journal.append([*self._staged, failed, ended], at=at)
        except (TypeError, ValueError):
            # What is staged may be the very thing that cannot be written.
            await self._journal.append([failed, ended], at=at)

    async def _begin(self) -> None:
        """Say who goes on with which engine, and what a dead holder left open."""
        pending = self._state.pending_intent
        opening = None if self._interruption() is not None else await self._lease.during(self._describe(), _nothing)
        if isinstance(opening, AttemptStarted):
            self._stage(opening)
        if pending is not None:
            seq, intent = pending
            self._stage(EffectUnknown(intent_seq=seq, intent_type=intent.type, turn=intent.turn))
            if isinstance(intent, TurnStarted) and intent.kind != "compress":
                await self._models.void(intent.turn)
        if isinstance(opening, EffectFailed):
            self._stage(opening)

    async def _describe(self) -> AttemptStarted | EffectFailed:
        tries = 0

        async def describe_once() -> EngineInfo:
            nonlocal tries
            tries += 1
            return await self._engine.describe()

        deadline = self._clock.monotonic() + self._lease.deadline - self._clock.now().timestamp()
        try:
            info = await retrying(describe_once, policy=self._policy, clock=self._clock, deadline=deadline)
            prices = await self._tools.prices()
        except BoundaryError as error:
            return failure(self._state.turn, error, tries)
        return AttemptStarted(
            worker=self._worker,
            engine=info.kind,
            model=info.model,
            context_length=info.context_length,
            settings=self._settings,
            prices=prices,
            repeats=self._repeats,
        )

    async def _perform(self, command: Generate | CallTool) -> None:
        if isinstance(command, CallTool) and command.repeats_seq is not None:
            self._stage(await self._tools.repeat(command, await self._journal.tool_event(command.repeats_seq)))
            return
        before = self._state
        effect: Coroutine[Any, Any, Event]
        if isinstance(command, Generate):
            self._stage(
                TurnStarted(
                    turn=command.turn,
                    kind=command.kind,
                    prefix_epoch=command.prefix_epoch,
                    max_tokens=command.max_tokens,
                    prompt_tokens=command.prompt_tokens,
                )
            )
            effect = self._models.generate(command)
        else:
            self._stage(
                ToolStarted(
                    turn=command.turn,
                    name=command.name,
                    arguments=command.arguments,
                    reserved_usd=command.reserve_usd,
                )
            )
            effect = self._tool_call(command)
        try:
            await self._commit()
        except BudgetSpent as error:
            effect.close()
            # The store refused the intent: it never was. What was staged before it goes on.
            self._staged.pop()
            self._state = before
            self._stage(BudgetReached(turn=command.turn, message=error.message))
            return
        except BaseException:
            effect.close()
            raise
        result = await self._lease.during(effect, lambda: self._faults.reach("during_effect", self._lease.job_id))
        if result is not None:
            self._stage(result)

    def _tool_call(self, command: CallTool) -> Coroutine[Any, Any, Event]:
        assert self._created is not None
        assert self._staged_at is not None
        return self._tools.call(
            command,
            profile=self._created.profile,
            options=self._created.tools,
            pages_read=self._state.pages_read,
            reserved_on=day_of(self._staged_at),
        )

    def _interruption(self) -> CancelRequested | DeadlineReached | None:
        if self._lease.cancel_reason is not None:
            return CancelRequested(reason=readable(self._lease.cancel_reason))
        if self._lease.overdue or self._clock.now().timestamp() >= self._lease.deadline:
            return DeadlineReached()
        return None

    def _stop_asked(self) -> bool:
        event = None if self._stopping else self._interruption()
        if event is None:
            return False
        self._stopping = True
        self._stage(event)
        return True

    def _stage(self, event: Event) -> None:
        """Take the event into the next transaction, and into the state as a later fold will see it."""
        if self._staged_at is None:
            self._staged_at = self._journal.instant()
        seq = self._journal.next_seq + len(self._staged)
        self._staged.append(event)
        self._state = machine.apply(self._state, event, seq=seq, at=self._staged_at.timestamp())

    async def _commit(self) -> None:
        if self._staged_at is None:
            return
        points = [point for point in POINTS if any(isinstance(event, point[0]) for event in self._staged)]
        for _, before, _ in points:
            self._faults.reach(before, self._lease.job_id)
        await self._journal.append(self._staged, at=self._staged_at)
        self._staged, self._staged_at = [], None
        for _, _, after in points:
            self._faults.reach(after, self._lease.job_id)
        await self._models.settle()


def _nothing() -> None:
    """No fault point lies in describing the engine."""
