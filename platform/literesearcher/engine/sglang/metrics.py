"""SGLang's own metric families, for the registry of the process that it runs in.

Owns: putting together what its processes wrote into files and what its part in this process counts. Families keep the
names that SGLang gives them; the few `figures` that leave a replica of a cluster get ours. Refuses to know: who
scrapes. Above: the wiring of programs that serve metrics, `engine.sglang.engine`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_OURS = "sglang"
"""What every name of theirs begins with."""
_GAUGES = {
    "sglang:max_total_num_tokens": "kv_capacity_tokens",
    "sglang:kv_used_tokens": "kv_used_tokens",
    "sglang:kv_available_tokens": "kv_available_tokens",
    "sglang:kv_evictable_tokens": "kv_evictable_tokens",
    "sglang:num_running_reqs": "running_requests",
    "sglang:num_queue_reqs": "queued_requests",
    "sglang:cache_hit_rate": "cache_hit_ratio",
    "sglang:gen_throughput": "generated_tokens_per_second",
}
_TOTALS = {
    "sglang:num_requests_total": "requests",
    "sglang:prompt_tokens_total": "prompt_tokens",
    "sglang:cached_tokens_total": "cached_tokens",
    "sglang:generation_tokens_total": "generated_tokens",
    "sglang:num_retracted_requests_total": "retracted_requests",
}
"""SGLang's samples, and what `telemetry.engine_metrics` calls them."""


class SglangMetrics(Collector):
    """A collector to register. Empty while SGLang is not running."""

    def __init__(self, folder: Callable[[], Path | None]) -> None:
        """`folder` is where SGLang's processes write now."""
        self._folder = folder

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: which families there are depends on what runs."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Those of the processes, then those of this process that they lack."""
        folder = self._folder()
        if folder is None or not folder.is_dir():
            return
        seen = set()
        read: Any = MultiProcessCollector
        for metric in read(CollectorRegistry(), str(folder)).collect():
            seen.add(metric.name)
            yield metric
        for metric in REGISTRY.collect():
            if metric.name.startswith(_OURS) and metric.name not in seen:
                yield metric


def figures(metrics: Iterable[Metric]) -> dict[str, float]:
    """What operators need of all this, by the names of `telemetry.engine_metrics`. A gauge is that of all priorities
    together, which has an empty label, of the first rank; a total is the sum over labels."""
    found: dict[str, float] = {}
    for metric in metrics:
        for sample in metric.samples:
            if sample.name in _GAUGES and not sample.labels.get("priority"):
                found.setdefault(_GAUGES[sample.name], sample.value)
            elif sample.name in _TOTALS:
                name = _TOTALS[sample.name]
                found[name] = found.get(name, 0.0) + sample.value
    return {name: value for name, value in found.items() if math.isfinite(value)}
