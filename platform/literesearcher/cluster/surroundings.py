"""What one orchestrator replica knows of what lies around it: the queue in the job store, the engine's KV pools.

Owns: looking, each second or two; how old a word may be; that the two learn of each other: with each look at the pools
the engine replicas are told what the queue holds, since they see no store and their number hangs on it.
Refuses to know: Ray, SQL, what is made of it (`scaling.ray_policies` by the replica's record, `admission`). Where
nothing is heard, nothing is known: errors of a look are no errors of the worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from literesearcher.cluster.scaling.records import STALE_SECONDS, work_record
from literesearcher.engine.load import EngineLoad
from literesearcher.errors import BoundaryError
from literesearcher.jobs.model import Backlog
from literesearcher.timing.clock import Clock

_T = TypeVar("_T")

LOG = logging.getLogger("literesearcher.cluster")
LOOK_SECONDS = 1.0
COUNT_SECONDS = 2.0
"""The store counts its open jobs: not at each look."""
ASK_SECONDS = 5.0
FRESH_SECONDS = 3.0
"""A pool that said nothing for so long is not heard of; for `STALE_SECONDS`: gone."""

Exchange = Callable[[int | None, int | None], Awaitable[Mapping[str, EngineLoad | None]]]
"""Tells the engine replicas (queued, live), None where it is not known; gives each one's load by its name, None of one
that has no pool, without those that did not answer. May raise `BoundaryError`."""


class Surroundings:
    """One a worker."""

    def __init__(self, *, backlog: Callable[[], Awaitable[Backlog]], exchange: Exchange, clock: Clock) -> None:
        self._backlog = backlog
        self._exchange = exchange
        self._clock = clock
        self._counted: tuple[Backlog, float] | None = None
        self._tried_at: float | None = None
        self._heard: dict[str, tuple[EngineLoad | None, float]] = {}
        self._quiet: set[str] = set()

    async def watch_forever(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """At the store, where it is time, and at the pools."""
        now = self._clock.monotonic()
        if self._tried_at is None or now - self._tried_at >= COUNT_SECONDS:
            self._tried_at = now
            counts = await self._asked("the job store", self._backlog())
            if counts is not None:
                self._counted = counts, self._clock.monotonic()
        loads = await self._asked("the engine", self._exchange(*self._work()))
        now = self._clock.monotonic()
        self._heard |= {name: (load, now) for name, load in (loads or {}).items()}
        self._heard = {name: known for name, known in self._heard.items() if now - known[1] <= STALE_SECONDS}

    async def loads(self) -> Mapping[str, EngineLoad | None]:
        """For `EngineAdmission`: at once, from the last looks. BoundaryError `engine_unheard`."""
        now = self._clock.monotonic()
        heard = {name: known for name, known in self._heard.items() if now - known[1] <= STALE_SECONDS}
        if not heard:
            raise BoundaryError("no replica of the engine is heard of", code="engine_unheard", transient=True)
        return {
            name: load if now - at <= FRESH_SECONDS else None for name, (load, at) in heard.items() if load is not None
        }

    def record(self) -> dict[str, float]:
        """For the orchestrators' scaling policy; empty where the store does not answer."""
        return work_record(*self._work())

    def _work(self) -> tuple[int | None, int | None]:
        if self._counted is None or self._clock.monotonic() - self._counted[1] > STALE_SECONDS:
            return None, None
        return self._counted[0].queued, self._counted[0].running

    async def _asked(self, whom: str, answer: Awaitable[_T]) -> _T | None:
        """None where no answer came; said once, until one does."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                found = await answer
        except (BoundaryError, TimeoutError) as error:
            if whom not in self._quiet:
                LOG.warning("%s does not say its load: %s", whom, error or "no answer in time")
            self._quiet.add(whom)
            return None
        self._quiet.discard(whom)
        return found
