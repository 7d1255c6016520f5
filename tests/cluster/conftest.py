"""One Ray on loopback for all tests of this folder, with its own folder, token and namespace, ended with the session.

Applications come and go by `cluster.put` and `cluster.remove`; each test module names its own, and removes them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")

from cluster import nodes
from joined_ray import joined
from literesearcher.cluster import local_ray
from literesearcher.cluster.serving import Replica, ServeOperator
from literesearcher.timing.clock import SystemClock
from replay import recordings

PATIENCE_SECONDS = 120.0
"""For a machine that does other things too."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`rollouts`: each set of recordings, for the tests that ask for it."""
    recordings.parametrize(metafunc)


def until(look: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """What `look` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
    return found


class Cluster:
    """The running Serve."""

    until = staticmethod(until)

    def __init__(self, operator: ServeOperator, ray: local_ray.LocalRay) -> None:
        self.operator = operator
        self.ray = ray
        with socket.socket() as free:
            free.bind((local_ray.HOST, 0))
            self.http_port: int = free.getsockname()[1]
        """Serve's own; an application has a route there if it says so."""
        self._applications: dict[str, dict[str, Any]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """For another process that is to be let in; it connects to `ray.address`."""
        return {**os.environ, **self.ray.environment}

    def put(self, application: dict[str, Any], *, wait: bool = True) -> str:
        """Run it, beside those that run, or as changed. Returns its name when it is healthy."""
        name = application["name"]
        self._applications[name] = application
        self._apply()
        if wait:
            until(lambda: self._settled(name), f"{name} to be healthy")
        return name

    def remove(self, *names: str) -> None:
        """End them."""
        for name in names:
            self._applications.pop(name, None)
        self._apply()
        until(lambda: not {one.name for one in self.operator.running()} & set(names), f"{names} to end")

    def replicas(self, application: str) -> list[Replica]:
        """Those in service."""
        found = [one for one in self.operator.running() if one.name == application]
        return [replica for one in found for replica in one.replicas if replica.state == "RUNNING"]

    def _settled(self, name: str) -> bool:
        wanted = sum(one["num_replicas"] for one in self._applications[name]["deployments"] if "num_replicas" in one)
        (found,) = [one for one in self.operator.running() if one.name == name] or [None]
        if found is None or found.state != "RUNNING":
            return False
        return len(found.replicas) >= wanted and all(one.state == "RUNNING" for one in found.replicas)

    def _apply(self) -> None:
        self.operator.apply(
            {
                "proxy_location": "HeadOnly",
                "http_options": {"host": local_ray.HOST, "port": self.http_port},
                "logging_config": {"log_level": "WARNING", "enable_access_log": False},
                "applications": list(self._applications.values()),
            }
        )


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Started at the first use. Declared CPUs are none of the machine's: timed replicas sleep."""
    note: Path = tmp_path_factory.mktemp("ray") / "note.json"
    # On a busy machine a node may be long in answering; one that is dead refuses to.
    environ = {**os.environ, "RAY_health_check_timeout_ms": "60000"}
    ray = asyncio.run(local_ray.start(note, environ, cpus=16, gpus=None, clock=SystemClock()))
    try:
        with joined(ray) as operator:
            yield Cluster(operator, ray)
    finally:
        local_ray.end(note, ray)


@pytest.fixture
def second(cluster: Cluster) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Another node of the same Ray: its address, and the process that heads its session."""
    ip = "127.0.0.3"
    node = nodes.join(cluster, ip)
    yield ip, node
    nodes.lose(node)
    nodes.until_gone(cluster, ip)
