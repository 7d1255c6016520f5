"""The application `orchestrator`: replicas that nobody calls; each pulls jobs from the store.

Owns: that a worker runs from the replica's start to its stop, and that a stopping one hands its jobs back before it
goes. Refuses to know: how jobs run (`orchestrator.worker`), what they call. A replica that is killed hands nothing
back: its leases run out, as any dead worker's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from literesearcher.orchestrator.worker import Orchestrator

OpenOrchestrator = Callable[[], AbstractAsyncContextManager[Orchestrator]]


class OrchestratorReplica:
    """One worker."""

    async def __init__(self, opening: OpenOrchestrator) -> None:  # type: ignore[misc]  # Serve awaits it.
        self._opened = opening()
        worker = await self._opened.__aenter__()
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(worker.run(self._stop))

    async def check_health(self) -> None:
        """A worker whose loop ended by itself serves nobody: its error, or that it ended."""
        if self._running.done():
            self._running.result()
            raise RuntimeError("the worker has ended")

    async def __del__(self) -> None:
        """Finish the current steps, hand the jobs back, close. Serve waits for it, for the drain's bound."""
        self._stop.set()
        await asyncio.wait([self._running])
        await self._opened.__aexit__(None, None, None)
