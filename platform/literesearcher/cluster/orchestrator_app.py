"""The application `orchestrator`: replicas that nobody calls; each pulls jobs from the store.

Owns: that a worker runs from the replica's start to its stop, and that a stopping one hands its jobs back before it
goes; that its surroundings are looked at for as long, and recorded for the scaling policy. Refuses to know: how jobs
run (`orchestrator.worker`), what they call. A replica that is killed hands nothing back: its leases run out, as any
dead worker's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from literesearcher.cluster.admission.engine_admission import EngineAdmission
from literesearcher.cluster.scaling.records import allowed_record
from literesearcher.cluster.surroundings import Surroundings
from literesearcher.orchestrator.worker import Orchestrator


@dataclass(frozen=True, slots=True)
class OpenedOrchestrator:
    """What a replica holds."""

    worker: Orchestrator
    surroundings: Surroundings
    admission: EngineAdmission


OpenOrchestrator = Callable[[], AbstractAsyncContextManager[OpenedOrchestrator]]


class OrchestratorReplica:
    """One worker."""

    async def __init__(self, opening: OpenOrchestrator) -> None:  # type: ignore[misc]  # Serve awaits it.
        self._opened = opening()
        held = await self._opened.__aenter__()
        self._surroundings, self._admission = held.surroundings, held.admission
        self._stop = asyncio.Event()
        self._watching = asyncio.create_task(held.surroundings.watch_forever())
        self._running = asyncio.create_task(held.worker.run(self._stop))

    async def check_health(self) -> None:
        """A worker whose loop ended by itself serves nobody: its error, or that it ended."""
        for task in (self._running, self._watching):
            if task.done():
                task.result()
                raise RuntimeError("the worker has ended")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What the scaling policy reads in the controller, no counts while the store is silent."""
        return self._surroundings.record() | allowed_record(self._admission.allowed())

    async def __del__(self) -> None:
        """Finish the current steps, hand the jobs back, close. Serve waits for it, for the drain's bound."""
        self._stop.set()
        await asyncio.wait([self._running])
        self._watching.cancel()
        await asyncio.wait([self._watching])
        await self._opened.__aexit__(None, None, None)
