"""Further nodes of the test's Ray: loopback addresses of their own, processes that a test may end.

Owns: how one joins, and how it is lost. Refuses to know: what runs on it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


def join(cluster: Any, ip: str, *resources: str) -> subprocess.Popen[bytes]:
    """A node with four declared CPUs, and `resources` in words of `ray start`; returns when Ray counts it."""
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--address={cluster.ray.address}"),
        *(f"--node-ip-address={ip}", "--num-cpus=4", *resources, "--disable-usage-stats"),
        *("--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0"),
        *("--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0", "--metrics-export-port=0"),
        *("--runtime-env-agent-port=0", "--include-log-monitor=false"),
    ]
    with (Path(cluster.ray.folder) / f"{ip}.log").open("wb") as out:
        node = subprocess.Popen(
            command, env=cluster.environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        cluster.until(lambda: ip in {one.ip for one in cluster.operator.nodes()}, f"node {ip}")
    except BaseException:
        lose(node)
        raise
    return node


def lose(node: subprocess.Popen[bytes]) -> None:
    """SIGKILL to all its processes, workers too: it lost its power."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(entry.name)) == node.pid and int(entry.name) != node.pid:
                os.kill(int(entry.name), signal.SIGKILL)
    node.kill()
    node.wait()


def until_gone(cluster: Any, *ips: str) -> None:
    """Ray has noticed that they are lost."""
    cluster.until(lambda: not {one.ip for one in cluster.operator.nodes()} & set(ips), f"{ips} to be gone")
