"""Where engine replicas land: on a Ray of several nodes with declared GPUs, by the generator's own resources, with
made-up timing instead of a GPU.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.nodes import join, lose, until_gone
from literesearcher.cluster.configuration import serve_configuration
from literesearcher.cluster.placement_watch import PlacementWatch
from literesearcher.settings.load import load_settings
from literesearcher.testing.timed_application import timed_configuration
from literesearcher.testing.timed_engine import Timing
from literesearcher.timing.clock import SystemClock

pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")
NODES = ("127.0.0.4", "127.0.0.5", "127.0.0.6")
GPUS = 2


@pytest.fixture
def nodes(cluster: Any) -> Iterator[None]:
    """Three nodes of two declared GPUs each, beside a head without any."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        for ip in NODES:
            # One after another: a start is seconds of both of a small machine's cores.
            running.append(join(cluster, ip, f"--num-gpus={GPUS}"))
        yield
    finally:
        for node in running:
            lose(node)
        until_gone(cluster, *NODES)


def placed(name: str, replicas: int) -> dict[str, Any]:
    """The timed engine with the resources that a replica of two tensor-parallel ranks gets."""
    settings = load_settings(
        {
            "LITERESEARCHER_ENGINE__KIND": "sglang",
            "LITERESEARCHER_SGLANG__TENSOR_PARALLEL": str(GPUS),
            "LITERESEARCHER_SGLANG__DEVICE": "cuda",
            "LITERESEARCHER_SGLANG__MODEL_PATH": "/models/any",
        },
        dotenv=None,
    )
    (engine,) = [one for one in serve_configuration(settings)["applications"] if one["name"] == "engine"]
    resources = engine["deployments"][0]["ray_actor_options"]
    assert resources["num_gpus"] == GPUS
    return timed_configuration(
        name, Timing(prefill_per_second=1e6, decode_per_second=1e5), replicas=replicas, ray_actor_options=resources
    )


@pytest.mark.timeout(600)
def test_replicas_take_whole_nodes_and_one_too_many_is_reported_as_blocked(cluster, nodes):
    def where() -> Counter[str]:
        return Counter(one.node_ip for one in cluster.replicas("placed"))

    try:
        cluster.put(placed("placed", 1))
        (first,) = where()
        assert first in NODES
        cluster.put(placed("placed", 3), wait=False)
        cluster.until(lambda: where() == Counter(NODES), "a replica on each node")

        cluster.put(placed("placed", 4), wait=False)

        def blocked() -> str:
            (found,) = [one for one in cluster.operator.running() if one.name == "placed"]
            return found.blocked if found.wanted == 4 and not found.healthy else ""

        sentence = f"1 replica waits for {GPUS} GPUs and 1 CPU of one node: no node has them free"
        cluster.until(lambda: blocked() == sentence, "the fourth to be reported, and for want of what")
        assert where() == Counter(NODES), "the three serve on"
        status = subprocess.run(
            [sys.executable, "-m", "literesearcher.cli.main", "cluster", "status"],
            env=cluster.environment | {"LITERESEARCHER_CLUSTER__ADDRESS": cluster.ray.address},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert status.returncode == 1
        assert re.search(rf"^placed \w+, 3 of 4 replicas: {sentence}$", status.stdout, re.MULTILINE), status

        # As each orchestrator shows it.
        waiting: dict[str, float] = {}
        watch = PlacementWatch(
            cluster.operator.details,
            lambda count, labels: waiting.update({labels["waiting_application"]: count}),
            SystemClock(),
        )

        def said() -> float:
            asyncio.run(watch.look())
            return waiting["placed"]

        assert said() == 1
        cluster.put(placed("placed", 3), wait=False)
        cluster.until(lambda: said() == 0, "nothing to wait any more")
    finally:
        cluster.remove("placed")
