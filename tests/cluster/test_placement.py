"""Where engine replicas land: on a Ray of several nodes with declared GPUs, by the generator's own resources, with
made-up timing instead of a GPU.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from literesearcher.cluster.configuration import serve_configuration
from literesearcher.settings.load import load_settings
from literesearcher.testing.timed_application import timed_configuration
from literesearcher.testing.timed_engine import Timing

pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")
NODES = ("127.0.0.4", "127.0.0.5", "127.0.0.6")
GPUS = 2


@pytest.fixture
def nodes(cluster: Any) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Three nodes of two declared GPUs each, beside a head without any; by address."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for ip in NODES:
            command = [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--address={cluster.ray.address}"),
                *(f"--node-ip-address={ip}", "--num-cpus=4", f"--num-gpus={GPUS}", "--disable-usage-stats"),
                *("--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0"),
                *("--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0", "--metrics-export-port=0"),
                *("--runtime-env-agent-port=0", "--include-log-monitor=false"),
            ]
            with (Path(cluster.ray.folder) / f"{ip}.log").open("wb") as out:
                running[ip] = subprocess.Popen(
                    command,
                    env=cluster.environment,
                    stdout=out,
                    stderr=out,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            # One after another: a start is seconds of both of a small machine's cores.
            cluster.until(lambda ip=ip: ip in {one.ip for one in cluster.operator.nodes()}, f"node {ip}")
        yield running
    finally:
        for node in running.values():
            end(node)
        cluster.until(lambda: not {one.ip for one in cluster.operator.nodes()} & set(NODES), "the nodes to be gone")


def end(node: subprocess.Popen[bytes]) -> None:
    """SIGKILL to all its processes, workers too: a node that lost its power."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(entry.name)) == node.pid and int(entry.name) != node.pid:
                os.kill(int(entry.name), signal.SIGKILL)
    node.kill()
    node.wait()


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


def test_replicas_take_whole_nodes_and_one_too_many_is_missed(cluster, nodes):
    def where() -> Counter[str]:
        return Counter(one.node_ip for one in cluster.replicas("placed"))

    try:
        cluster.put(placed("placed", 1))
        (first,) = where()
        assert first in NODES
        cluster.put(placed("placed", 3), wait=False)
        cluster.until(lambda: where() == Counter(NODES), "a replica on each node")

        cluster.put(placed("placed", 4), wait=False)

        def short() -> bool:
            (found,) = [one for one in cluster.operator.running() if one.name == "placed"]
            return found.wanted == 4 and not found.healthy and bool(found.blocked)

        cluster.until(short, "the fourth to be missed")
        assert where() == Counter(NODES), "the three serve on"
    finally:
        cluster.remove("placed")
