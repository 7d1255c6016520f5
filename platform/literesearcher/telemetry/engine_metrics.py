"""The figures of an engine's runtime, declared: names and help.

Owns: the declarations, and that a total which begins anew (its runtime was started again) goes on growing. The
processes that hold runtimes are Ray's own, whose metrics leave by Ray's agent: `cluster.engine_figures` makes them
there, tests by Prometheus' client. Refuses to know: Ray, which runtime it is. No labels: Ray Serve adds the replica.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from literesearcher.telemetry.router_metrics import Count, Declared
from literesearcher.telemetry.scaling_metrics import DeclaredGauge, Set

PREFIX = "literesearcher_engine_"
GAUGES = {
    "kv_capacity_tokens": "The whole KV pool.",
    "kv_used_tokens": "KV of the pool that is held.",
    "kv_available_tokens": "KV of the pool that is free.",
    "kv_evictable_tokens": "KV of the pool that is cached and may be evicted.",
    "running_requests": "Requests being decoded or prefilled.",
    "queued_requests": "Requests in the runtime's queue.",
    "cache_hit_ratio": "Share of prompt tokens found in the cache, of late.",
    "generated_tokens_per_second": "Of all requests together, of late.",
}
TOTALS = {
    "requests": "Generations that ended.",
    "prompt_tokens": "Tokens of prompts.",
    "cached_tokens": "Tokens of prompts that were found in the cache.",
    "generated_tokens": "Tokens generated.",
    "retracted_requests": "Requests thrown out of the pool, to be made again.",
}


class EngineMetrics:
    """One object a process that holds a runtime."""

    def __init__(self, gauge: Callable[[DeclaredGauge], Set], count: Callable[[Declared], Count]) -> None:
        self._gauges = {name: gauge(DeclaredGauge(PREFIX + name, said, ())) for name, said in GAUGES.items()}
        self._totals = {name: count(Declared(PREFIX + name, said)) for name, said in TOTALS.items()}
        self._last: dict[str, float] = {}

    def show(self, figures: Mapping[str, float]) -> None:
        """By the names of GAUGES and TOTALS; others are let be. Gauges that are missing keep what they showed."""
        for name, set_to in self._gauges.items():
            if name in figures:
                set_to(figures[name], {})
        for name, add in self._totals.items():
            value, last = figures.get(name, 0.0), self._last.get(name, 0.0)
            if name in figures:
                self._last[name] = value
                added = value - last if value >= last else value
                if added:
                    add(added, "")
