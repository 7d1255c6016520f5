"""The scaling policies as Ray Serve calls them: in the controller, eight times a second, one instance an application.

Owns: from what replicas recorded (`records`) to a reading of a pure policy, and back to a number, shown by `signs`.
They wait for nothing, read nothing outside, and never raise. Where the backlog comes from: each orchestrator replica
reads the job store, records the counts, and tells them to the engine replicas, which record them in turn. So the
controller needs no store, no secret and no thread, and what is not heard of is missing: then the number stays.
Refuses to know: the rules (`engine_policy`, `queue_policies`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from literesearcher.cluster.scaling.engine_policy import EngineMemory, EngineReading, EngineTuning
from literesearcher.cluster.scaling.engine_policy import decide as decide_engines
from literesearcher.cluster.scaling.queue_policies import (
    OrchestratorTuning,
    ToolsReading,
    ToolsTuning,
    Work,
    decide_orchestrators,
    decide_tools,
)
from literesearcher.cluster.scaling.records import allowed_of, engine_loads, fleet_of, tools_loads, ttft_of, work_of
from literesearcher.cluster.scaling.signs import Signs
from literesearcher.cluster.scaling.steps import Decision, Fleet, Pace, Patience
from literesearcher.timing.clock import Clock, SystemClock

Wanted = tuple[int, dict[str, Any]]
"""The number, and the decision's reason and terms."""


class _Policy(ABC):
    """What the three have in common: a clock, the application's name, how long a replica may take to start."""

    def __init__(self, application: str, start_seconds: float, clock: Clock | None, signs: Signs | None) -> None:
        self._clock = clock or SystemClock()
        self._start_seconds = start_seconds
        self._signs = signs or Signs(application, self._clock)
        self._short_since: float | None = None

    def __call__(self, ctx: Any) -> Wanted:
        """The wanted number, and the decision's reason and terms."""
        fleet = fleet_of(ctx)
        if fleet is None:
            return _unreadable(ctx)
        return self._show(self._decided(ctx, fleet, self._clock.monotonic()), fleet)

    @abstractmethod
    def _decided(self, ctx: Any, fleet: Fleet, now: float) -> Decision:
        """By the pure policy; remembers what it remembers."""

    def _show(self, decision: Decision, fleet: Fleet) -> Wanted:
        """A replica that has not come in twice its time is blocked: no node has room for it, or it does not start."""
        now = self._clock.monotonic()
        if fleet.running >= fleet.target:
            self._short_since = None
        elif self._short_since is None:
            self._short_since = now
        blocked = self._short_since is not None and now - self._short_since > 2 * self._start_seconds
        reason = "blocked" if blocked and decision.reason not in ("missing", "down", "bounds") else decision.reason
        self._signs.show(decision, reason)
        return decision.replicas, {"reason": reason, **decision.terms}


class EnginePolicy(_Policy):
    """`AutoscalingPolicy(policy_function="literesearcher.cluster.scaling.ray_policies:EnginePolicy")`; so the others,
    with their arguments as `policy_kwargs`."""

    def __init__(
        self,
        application: str = "engine",
        start_seconds: float = 120.0,
        context_length: int = 131_072,
        up_seconds: float = 3.0,
        down_seconds: float = 60.0,
        clock: Clock | None = None,
        signs: Signs | None = None,
    ) -> None:
        self._tuning = EngineTuning(
            pace=Pace(up_seconds=up_seconds, down_seconds=down_seconds),
            start_seconds=start_seconds,
            job_tokens=context_length,
        )
        super().__init__(application, start_seconds, clock, signs)
        self._memory = EngineMemory()

    def _decided(self, ctx: Any, fleet: Fleet, now: float) -> Decision:
        loads = engine_loads(ctx)
        heard = [load for load in loads if load is not None]
        queued, live = work_of(ctx)
        reading = EngineReading(
            now,
            heard,
            missing=len(loads) - len(heard),
            queued=queued,
            live=live,
            ttft_seconds=ttft_of(ctx),
        )
        decision, self._memory = decide_engines(reading, fleet=fleet, tuning=self._tuning, memory=self._memory)
        return decision


class OrchestratorPolicy(_Policy):
    """`jobs`: at once of a replica."""

    def __init__(
        self,
        application: str = "orchestrator",
        jobs: int = 64,
        up_seconds: float = 3.0,
        down_seconds: float = 60.0,
        start_seconds: float = 60.0,
        clock: Clock | None = None,
        signs: Signs | None = None,
    ) -> None:
        self._tuning = OrchestratorTuning(
            pace=Pace(high=0.9, low=0.6, up_seconds=up_seconds, down_seconds=down_seconds), jobs=jobs
        )
        super().__init__(application, start_seconds, clock, signs)
        self._patience = Patience()

    def _decided(self, ctx: Any, fleet: Fleet, now: float) -> Decision:
        work = Work(now, *work_of(ctx), allowed=allowed_of(ctx))
        decision, self._patience = decide_orchestrators(work, fleet=fleet, tuning=self._tuning, patience=self._patience)
        return decision


class ToolsPolicy(_Policy):
    """`calls`: at once of a replica."""

    def __init__(
        self,
        application: str = "tools",
        calls: int = 64,
        up_seconds: float = 3.0,
        down_seconds: float = 60.0,
        start_seconds: float = 60.0,
        clock: Clock | None = None,
        signs: Signs | None = None,
    ) -> None:
        self._tuning = ToolsTuning(
            pace=Pace(high=0.8, low=0.5, up_seconds=up_seconds, down_seconds=down_seconds), calls=calls
        )
        super().__init__(application, start_seconds, clock, signs)
        self._patience = Patience()

    def _decided(self, ctx: Any, fleet: Fleet, now: float) -> Decision:
        loads = tools_loads(ctx)
        heard = [load for load in loads if load is not None]
        reading = ToolsReading(now, heard, missing=len(loads) - len(heard))
        decision, self._patience = decide_tools(reading, fleet=fleet, tuning=self._tuning, patience=self._patience)
        return decision


def _unreadable(ctx: Any) -> Wanted:
    """Serve bounds the number by itself."""
    target = getattr(ctx, "target_num_replicas", 1)
    return target if isinstance(target, int) else 1, {"reason": "missing"}
