"""SGLang's own metric families, for the registry of the process that it runs in.

Owns: putting together what its processes wrote into files and what its part in this process counts. Families keep the
names that SGLang gives them. Refuses to know: who scrapes. Above: the wiring of programs that serve metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_OURS = "sglang"
"""What every name of theirs begins with."""


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
