"""The metric of engine starts, declared: name, help, label, buckets.

Owns: the declaration, and how it is fed, over any maker of histograms: Prometheus' client in a process that serves
metrics of its own (`in_registry`), Ray's in its replicas. Refuses to know: engines. The label is bounded: the phases
that `engine.start_phases` names.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Histogram

from literesearcher.telemetry.router_metrics import Count, Declared

START_SECONDS = Declared(
    "literesearcher_engine_start_seconds",
    "Parts of the engine's start (download, checksum, load, warm_up).",
    "phase",
    (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0),
)


class StartMetrics:
    """One object a process that starts engines."""

    def __init__(self, make: Callable[[Declared], Count]) -> None:
        self._seconds = make(START_SECONDS)

    def ended(self, phase: str, seconds: float) -> None:
        """A phase of a start has ended."""
        self._seconds(seconds, phase)


def in_registry(registry: CollectorRegistry) -> Callable[[Declared], Count]:
    """Makes histograms of Prometheus' client there."""

    def make(declared: Declared) -> Count:
        labels = [declared.label] if declared.label else []
        made = Histogram(declared.name, declared.help, labels, buckets=declared.bounds, registry=registry)

        def observe(value: float, label: str) -> None:
            (made.labels(label) if labels else made).observe(value)

        return observe

    return make
