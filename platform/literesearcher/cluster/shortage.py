"""Replicas that wait for a place on a node, and for want of what: of Serve's own details of a deployment.

Owns: which replicas have waited too long, the sentence that an operator reads. Refuses to know: how the details and
the nodes' free resources are found (`serving`), who counts the waiting (`placement_watch`). Pure. Serve says on its own
that replicas are slow to come, but late, and not for want of which resource.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

WAIT_SECONDS = 15.0
"""A replica gets its place within a second where there is one, and its process within a few."""


def waiting(deployment: Mapping[str, Any], now: float) -> int:
    """Replicas without a place on a node for so long. `now`: seconds since the epoch."""
    return sum(
        _word(one.get("state")) == "STARTING"
        and not one.get("node_id")
        and now - one.get("start_time_s", now) > WAIT_SECONDS
        for one in deployment["replicas"]
    )


def shortage(deployment: Mapping[str, Any], free: Collection[Mapping[str, float]], now: float) -> str:
    """What replicas of the deployment wait for; "" where none does, or where a node has it. `free`: the free resources
    of each node by Ray's names; what a node has not is left out there."""
    count = waiting(deployment, now)
    needs = _needs(deployment)
    if not count or any(all(node.get(name, 0.0) >= much for name, much in needs.items()) for node in free):
        return ""
    said = " and ".join(_amount(name, much) for name, much in needs.items())
    return f"{count} {'replica waits' if count == 1 else 'replicas wait'} for {said} of one node: no node has them free"


def _needs(deployment: Mapping[str, Any]) -> dict[str, float]:
    options = deployment.get("deployment_config", {}).get("ray_actor_options") or {}
    asked = {"GPU": options.get("num_gpus") or 0, "CPU": options.get("num_cpus") or 0}
    asked |= options.get("resources") or {}
    return {name: float(much) for name, much in asked.items() if much}


def _amount(name: str, much: float) -> str:
    return f"{much:g} {name}{'s' if name in ('GPU', 'CPU') and much != 1 else ''}"


def _word(state: Any) -> str:
    return str(getattr(state, "value", state))
