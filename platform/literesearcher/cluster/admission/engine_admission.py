"""A worker's limit that follows the KV pools of the engine: implements `orchestrator.admission.Admission`.

Owns: how often the pools are looked at, and that one who cannot be asked holds the limit where it is. Refuses to know:
the rule (`window`), how replicas are asked (a function comes in), so it serves one engine in this process as well as
many on Ray.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from literesearcher.cluster.admission.window import Window, WindowTuning, allowed, look, room
from literesearcher.engine.load import EngineLoad, Loaded
from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock

LOG = logging.getLogger("literesearcher.admission")
LOOK_SECONDS = 1.0
"""As often as replicas tell of themselves."""
ASK_SECONDS = 2.0

Loads = Callable[[], Awaitable[Mapping[str, EngineLoad | None]]]
"""Each replica's load by its name, None of one that does not say; empty where none has a pool, and nothing bounds the
worker but `most`. May raise `BoundaryError`."""


class EngineAdmission:
    """One a worker. `most`: jobs of one process at most."""

    def __init__(self, loads: Loads, *, most: int, clock: Clock, tuning: WindowTuning | None = None) -> None:
        self._loads = loads
        self._most = most
        self._clock = clock
        self._tuning = tuning or WindowTuning()
        self._windows: Mapping[str, Window] = {"": Window(self._tuning.first, clock.monotonic())}
        self._looked_at: float | None = None

    async def room(self, held: int) -> int:
        """See `Admission`. Before any replica was ever heard of, a first window is given: the queue shall move."""
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            await self._look(held)
        if not self._windows:
            return max(0, self._most - held)
        return room(self._windows, held=held, most=self._most)

    def allowed(self) -> int | None:
        """Jobs that the pools let this worker hold, were it large enough; None where they limit nothing. A window grows
        only while it is used, so one that the worker's own size limits ends a quarter above that."""
        return allowed(self._windows) if self._windows else None

    async def _look(self, held: int) -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                seen = await self._loads()
        except (BoundaryError, TimeoutError) as error:
            LOG.warning("the engine's load is not known, %s: as many jobs as before", error or "no answer in time")
            return
        self._windows = look(self._windows, seen, held=held, at=self._clock.monotonic(), tuning=self._tuning)


def loads_of(engine: Loaded) -> Loads:
    """Of one engine in this process."""

    async def loads() -> Mapping[str, EngineLoad | None]:
        return {"engine": await engine.load()}

    return loads
