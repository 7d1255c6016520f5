"""What an engine replica knows beside its runtime's load: how long first tokens take, and what the queue holds.

Owns: the time from a call to its first text, of late; the job store's counts, as an orchestrator told them last.
Refuses to know: who asks (`engine_app`), stores, the rules. Its record is what the scaling policy reads. Only calls
that somebody listens to are timed: the others bring no first text, but all at once.
"""

from __future__ import annotations

import statistics
from collections import deque

from literesearcher.cluster.scaling.records import STALE_SECONDS, engine_record, work_record
from literesearcher.engine.load import EngineLoad
from literesearcher.timing.clock import Clock

LATELY_SECONDS = 60.0


class EngineSignals:
    """One a replica."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._firsts: deque[tuple[float, float]] = deque()
        """(when, seconds) of first texts."""
        self._waiting: dict[object, float] = {}
        """Since when calls wait for theirs."""
        self._told: tuple[int, int, float] | None = None

    def begun(self) -> object:
        """A call; `ended` must follow."""
        call = object()
        self._waiting[call] = self._clock.monotonic()
        return call

    def came(self, call: object) -> None:
        """A text of it; only the first counts."""
        begun = self._waiting.pop(call, None)
        if begun is not None:
            now = self._clock.monotonic()
            self._firsts.append((now, now - begun))

    def ended(self, call: object) -> None:
        """It is over; without any text it says nothing."""
        self._waiting.pop(call, None)

    def told(self, queued: int | None, live: int | None) -> None:
        """An orchestrator's word; one that does not know leaves the last."""
        if queued is not None and live is not None:
            self._told = queued, live, self._clock.monotonic()

    def ttft_seconds(self) -> float | None:
        """The median of late; where calls wait for longer than that, theirs. None where nobody was served or waits."""
        now = self._clock.monotonic()
        while self._firsts and now - self._firsts[0][0] > LATELY_SECONDS:
            self._firsts.popleft()
        came = [seconds for _, seconds in self._firsts]
        waiting = [now - since for since in self._waiting.values()]
        return max((statistics.median(some) for some in (came, waiting) if some), default=None)

    def record(self, load: EngineLoad) -> dict[str, float]:
        """For the scaling policy; what was told long ago is not known."""
        record = engine_record(load, ttft_seconds=self.ttft_seconds())
        if self._told is not None:
            queued, live, at = self._told
            if self._clock.monotonic() - at <= STALE_SECONDS:
                record |= work_record(queued, live)
        return record
