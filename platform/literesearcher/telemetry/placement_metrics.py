"""The metric of replicas without a place, declared: name, help, label.

Owns: the declaration. Orchestrator replicas show it, by Ray's agent (`cluster.placement_watch`). Refuses to know: Ray.
The label is bounded: the names of applications.
"""

from __future__ import annotations

from literesearcher.telemetry.scaling_metrics import DeclaredGauge

WAITING = DeclaredGauge(
    "literesearcher_replicas_waiting",
    "Replicas that no node has had room for, for a quarter of a minute and longer. Every orchestrator says the same.",
    # `application` is the label by which Serve says whose replica shows a metric.
    ("waiting_application",),
)
