"""The figures of a replica's runtime, as metrics of Ray: they leave by the metrics page of the replica's node.

Owns: how often the runtime is asked, in a thread, since it reads files for some 30 ms. Refuses to know: which figures
(`telemetry.engine_metrics`), which runtime. Caller: `cluster.engine_app`, whenever Ray asks for the replica's load.
"""

from __future__ import annotations

import asyncio

from literesearcher.engine.load import Measured
from literesearcher.telemetry.engine_metrics import EngineMetrics
from literesearcher.timing.clock import Clock

LOOK_SECONDS = 5.0
"""Ray's own agent gathers every ten seconds."""


class EngineFigures:
    """Of one replica."""

    def __init__(self, engine: Measured, metrics: EngineMetrics, clock: Clock) -> None:
        self._engine = engine
        self._metrics = metrics
        self._clock = clock
        self._next = clock.monotonic()

    async def look(self) -> None:
        """Show them where they are due; else nothing."""
        if self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + LOOK_SECONDS
        self._metrics.show(await asyncio.to_thread(self._engine.figures))


def ray_figures(engine: object, clock: Clock) -> EngineFigures | None:
    """Over Ray's metrics, in a replica's process; None of an engine that has no figures."""
    if not isinstance(engine, Measured):
        return None
    from literesearcher.cluster.ray_metrics import ray_gauge, ray_metric

    return EngineFigures(engine, EngineMetrics(ray_gauge, ray_metric), clock)
