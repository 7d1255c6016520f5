"""The engine's scaling policy as Ray Serve calls it: in the controller, eight times a second, in one instance.

Owns: from what replicas record (`engine_stats`, each second or so) to a reading, and back to a number and values that a
metric can show. It waits for nothing and never raises, since a policy that does leaves its application unhealthy: what
cannot be read is missing, and then the number stays. Refuses to know: the rule (`engine_policy`), the job store: the
backlog reaches the pools as KV and as prompts in line, through the jobs that workers hold.
"""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any

from literesearcher.cluster.scaling.engine_policy import EngineMemory, EngineReading, EngineTuning, decide
from literesearcher.cluster.scaling.steps import Fleet, Pace
from literesearcher.engine.load import EngineLoad
from literesearcher.timing.clock import Clock, SystemClock

STALE_SECONDS = 10.0
"""Records come each second and are up to 2.5 s old: so old, several in a row did not come."""
_NAMES = tuple(field.name for field in fields(EngineLoad))
_UNREADABLE = (AttributeError, ArithmeticError, IndexError, KeyError, TypeError, ValueError)


def engine_stats(load: EngineLoad) -> dict[str, float]:
    """For `record_autoscaling_stats` of a replica."""
    return {name: float(value) for name, value in asdict(load).items()}


class EnginePolicy:
    """`AutoscalingPolicy(policy_function="literesearcher.cluster.scaling.ray_policies:EnginePolicy")`."""

    def __init__(
        self,
        start_seconds: float = 120.0,
        context_length: int = 131_072,
        up_seconds: float = 3.0,
        down_seconds: float = 60.0,
        clock: Clock | None = None,
    ) -> None:
        self._tuning = EngineTuning(
            pace=Pace(up_seconds=up_seconds, down_seconds=down_seconds),
            start_seconds=start_seconds,
            job_tokens=context_length,
        )
        self._clock = clock or SystemClock()
        self._memory = EngineMemory()

    def __call__(self, ctx: Any) -> tuple[int, dict[str, Any]]:
        """The wanted number, and the decision's terms."""
        target = int(ctx.target_num_replicas)
        least, most = int(ctx.capacity_adjusted_min_replicas), int(ctx.capacity_adjusted_max_replicas)
        running = list(ctx.running_replicas or ())
        fleet = Fleet(target, min(target, len(running)), least, max(least, most))
        loads = [self._load(ctx, replica) for replica in running]
        heard = [load for load in loads if load is not None]
        reading = EngineReading(self._clock.monotonic(), heard, missing=len(loads) - len(heard))
        decision, self._memory = decide(reading, fleet=fleet, tuning=self._tuning, memory=self._memory)
        return decision.replicas, {"reason": decision.reason, **decision.terms}

    def _load(self, ctx: Any, replica: Any) -> EngineLoad | None:
        try:
            values = {name: ctx.raw_metrics[name][replica][-1] for name in _NAMES}
            now = ctx.current_time
            known = {name: float(point.value) for name, point in values.items()}
            fresh = now is None or all(now - point.timestamp <= STALE_SECONDS for point in values.values())
        except _UNREADABLE:
            return None
        if not fresh or not all(math.isfinite(value) and value >= 0 for value in known.values()):
            return None
        rounded: dict[str, Any] = {
            name: value if name.endswith("_per_second") else int(value) for name, value in known.items()
        }
        return EngineLoad(**rounded)
