"""Declared metrics in Ray's own processes, whence they leave by Ray's agent.

Owns: what of Ray a declaration becomes; in a replica Serve adds which one it is, of which application. Refuses to know:
what is counted (`telemetry` declares it). Loaded by Ray's processes alone: `cluster.routing.router`, replicas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.serve import metrics

from literesearcher.telemetry.router_metrics import Count, Declared
from literesearcher.telemetry.scaling_metrics import DeclaredGauge, Set


def ray_metric(declared: Declared) -> Count:
    """A histogram where it has bounds, else a counter."""
    # Serve's own types say that a metric has one label.
    keys: Any = (declared.label,) if declared.label else ()
    use: Callable[..., None]
    if declared.bounds:
        use = metrics.Histogram(declared.name, declared.help, boundaries=list(declared.bounds), tag_keys=keys).observe
    else:
        use = metrics.Counter(declared.name, declared.help, tag_keys=keys).inc
    return lambda value, label: use(value, tags={declared.label: label} if declared.label else {})


def ray_gauge(declared: DeclaredGauge) -> Set:
    """A gauge."""
    keys: Any = declared.labels
    gauge = metrics.Gauge(declared.name, declared.help, tag_keys=keys)
    return lambda value, labels: gauge.set(value, tags=dict(labels))
