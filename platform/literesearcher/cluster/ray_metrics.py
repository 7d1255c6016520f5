"""Declared metrics in Ray's own processes, whence they leave by Ray's agent.

Owns: what of Ray a declaration becomes. Refuses to know: what is counted (`telemetry` declares it). Loaded by Ray's
processes alone: `cluster.routing.router`, replicas.
"""

from __future__ import annotations

from collections.abc import Callable

from ray.util import metrics

from literesearcher.telemetry.router_metrics import Count, Declared
from literesearcher.telemetry.scaling_metrics import DeclaredGauge, Set


def ray_metric(declared: Declared) -> Count:
    """A histogram where it has bounds, else a counter."""
    keys = (declared.label,) if declared.label else ()
    use: Callable[..., None]
    if declared.bounds:
        use = metrics.Histogram(declared.name, declared.help, boundaries=list(declared.bounds), tag_keys=keys).observe
    else:
        use = metrics.Counter(declared.name, declared.help, tag_keys=keys).inc
    return lambda value, label: use(value, tags={declared.label: label} if declared.label else {})


def ray_gauge(declared: DeclaredGauge) -> Set:
    """A gauge."""
    gauge = metrics.Gauge(declared.name, declared.help, tag_keys=declared.labels)
    return lambda value, labels: gauge.set(value, tags=dict(labels))
