"""Replicas without a place: which they are, what they wait for, how many a metric says."""

from __future__ import annotations

from typing import Any

import pytest

from literesearcher.cluster.placement_watch import LOOK_SECONDS, PlacementWatch
from literesearcher.cluster.shortage import WAIT_SECONDS, shortage, waiting
from literesearcher.errors import BoundaryError
from literesearcher.testing.manual_clock import ManualClock

LONG_AGO = 0.0
NOW = 1_000.0
RUNS = {"state": "RUNNING", "node_id": "n1", "start_time_s": LONG_AGO}
WAITS = {"state": "STARTING", "node_id": None, "start_time_s": LONG_AGO}
NONE_FREE = [{"CPU": 3.0}, {"CPU": 3.0, "GPU": 1.0}]


def deployment(*replicas: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"replicas": list(replicas), "deployment_config": {"ray_actor_options": options}}


@pytest.mark.parametrize(
    "replica",
    [
        RUNS,
        {**WAITS, "node_id": "n1"},
        {**WAITS, "start_time_s": NOW - WAIT_SECONDS},
        {**WAITS, "state": "STOPPING"},
    ],
    ids=["runs", "has a place", "came just now", "stops"],
)
def test_a_replica_with_a_place_or_hardly_born_does_not_wait(replica: dict[str, Any]) -> None:
    found = deployment(replica, num_gpus=2)
    assert waiting(found, NOW) == 0
    assert shortage(found, [], NOW) == ""


def test_the_gpus_of_one_node_are_named() -> None:
    found = deployment(RUNS, WAITS, num_gpus=2, num_cpus=1)
    assert shortage(found, NONE_FREE, NOW) == (
        "1 replica waits for 2 GPUs and 1 CPU of one node: no node has them free"
    )
    found = deployment(WAITS, WAITS, num_gpus=1, num_cpus=0.5, resources={"big": 1.0})
    assert shortage(found, NONE_FREE, NOW) == (
        "2 replicas wait for 1 GPU and 0.5 CPUs and 1 big of one node: no node has them free"
    )


def test_two_gpus_on_two_nodes_are_not_two_of_one_and_a_node_with_room_is_no_want() -> None:
    found = deployment(WAITS, num_gpus=2)
    assert "2 GPUs" in shortage(found, [{"GPU": 1.0}, {"GPU": 1.0}], NOW)
    assert shortage(found, [{"GPU": 1.0}, {"GPU": 2.0}], NOW) == ""


async def test_the_metric_follows_what_waits_and_a_silent_controller_changes_nothing() -> None:
    clock = ManualClock()
    now = clock.now().timestamp()
    waits = {**WAITS, "start_time_s": now - 60}
    said: dict[str, Any] = {
        "engine": {"deployments": {"Engine": deployment(RUNS, waits, waits)}},
        "tools": {"deployments": {"Tools": deployment(RUNS)}},
    }
    shown: dict[str, float] = {}
    silent = False

    def details() -> dict[str, Any]:
        if silent:
            raise BoundaryError("it is away", code="ray_unreachable")
        return said

    watch = PlacementWatch(details, lambda value, labels: shown.update({labels["waiting_application"]: value}), clock)
    await watch.look()
    assert shown == {"engine": 2, "tools": 0}
    silent = True
    async with watch.watching():
        await clock.advance(LOOK_SECONDS)
    assert shown == {"engine": 2, "tools": 0}
    silent = False
    del said["engine"]
    await watch.look()
    assert shown == {"engine": 0, "tools": 0}
