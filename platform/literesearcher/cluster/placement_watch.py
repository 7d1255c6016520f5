"""Shows as a metric how many replicas of each application wait for a place on a node, with fixed numbers too.

Owns: looking, now and then, for as long as an orchestrator replica runs: where a number is fixed, no scaling policy
does. Refuses to know: Ray (`details` asks it), which replicas those are (`shortage`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from literesearcher.cluster.shortage import waiting
from literesearcher.errors import BoundaryError
from literesearcher.telemetry.scaling_metrics import Set
from literesearcher.timing.clock import Clock

LOG = logging.getLogger("literesearcher.cluster")
LOOK_SECONDS = 10.0

Details = Callable[[], Mapping[str, Any]]
"""Serve's details of every application by its name. Blocks; may raise BoundaryError."""


class PlacementWatch:
    """One an orchestrator replica."""

    def __init__(self, details: Details, show: Set, clock: Clock) -> None:
        self._details = details
        self._show = show
        self._clock = clock
        self._known: set[str] = set()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look for as long as the body runs."""
        task = asyncio.create_task(self._watch_forever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _watch_forever(self) -> None:
        """Where Serve's controller is silent the last word stands."""
        while True:
            try:
                await self.look()
            except BoundaryError as error:
                LOG.warning("whether replicas wait for a place is not known: %s", error)
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Once."""
        found = await asyncio.to_thread(self._details)
        now = self._clock.now().timestamp()
        self._known |= set(found)
        for name in self._known:
            deployments = found[name]["deployments"].values() if name in found else ()
            self._show(sum(waiting(one, now) for one in deployments), {"waiting_application": name})
