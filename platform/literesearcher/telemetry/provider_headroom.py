"""How much providers would take beyond what they are asked: the share of requests' time that is no wait for a limit.

Owns: the reading of two of the tool proxy's histograms, and the stretch of time it looks back. Refuses to know: limits,
who decides by it (`cluster.scaling`). Waits for a slot of this process are not among them: another process has its own.
"""

from __future__ import annotations

from collections import deque

from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock

LOOK_BACK_SECONDS = 30.0
SHARED = ("rate", "retry_after", "site_rate")
"""Reasons of waits that another process would have too: rates hold for all of them together."""


class ProviderHeadroom:
    """One a process. Called each second or so."""

    def __init__(self, metrics: ToolMetrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._seen: deque[tuple[float, float, float]] = deque([(clock.monotonic(), *self._sums())])
        """(when, seconds waited, seconds under way) until then."""

    def __call__(self) -> float:
        """From 0 (all time went into waits) to 1 (none did, or nothing was asked)."""
        now = self._clock.monotonic()
        waited, under_way = self._sums()
        self._seen.append((now, waited, under_way))
        while len(self._seen) > 2 and now - self._seen[1][0] >= LOOK_BACK_SECONDS:
            self._seen.popleft()
        _, waited_before, under_way_before = self._seen[0]
        asked = (waited - waited_before) + (under_way - under_way_before)
        return 1.0 if asked <= 0 else max(0.0, min(1.0, (under_way - under_way_before) / asked))

    def _sums(self) -> tuple[float, float]:
        waits = sum(
            sample.value
            for family in self._metrics.provider_wait_seconds.collect()
            for sample in family.samples
            if sample.name.endswith("_sum") and sample.labels["reason"] in SHARED
        )
        requests = sum(
            sample.value
            for family in self._metrics.provider_seconds.collect()
            for sample in family.samples
            if sample.name.endswith("_sum")
        )
        return waits, requests
