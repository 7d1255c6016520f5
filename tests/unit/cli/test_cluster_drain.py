"""What `cluster drain` says while it waits: it may be eleven minutes, and nobody should take it for stuck."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from literesearcher.cli import cluster_operations
from literesearcher.cluster.serving import Node, Replica, Running
from literesearcher.settings.load import load_settings
from literesearcher.testing.manual_clock import ManualClock


class Serve:
    """Tools on the first of its nodes, which never leave it."""

    def __init__(self, nodes: int) -> None:
        self._nodes = [Node(id=f"n{number}", ip=f"10.0.0.{number}", gpus=0, metrics="") for number in range(nodes)]
        self.drained: list[str] = []

    def nodes(self) -> list[Node]:
        return self._nodes

    def running(self) -> list[Running]:
        replica = Replica(name="a", deployment="Tools", state="RUNNING", node="n0", node_ip="10.0.0.0", pid=7)
        return [Running("tools", "RUNNING", (replica,), 1, "")]

    def drain(self, node: str, until: datetime) -> None:
        self.drained.append(node)


@pytest.mark.parametrize(("nodes", "alone"), [(1, True), (2, False)])
async def test_a_drain_says_what_it_waits_for_and_that_nobody_takes_over(
    nodes: int,
    alone: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    serve, clock = Serve(nodes), ManualClock()

    @contextlib.asynccontextmanager
    async def operator_of(settings: object) -> AsyncIterator[Any]:
        async def ask(call: Callable[[Any], Any]) -> Any:
            name = getattr(call, "__name__", "")
            return getattr(serve, name)() if name in ("nodes", "running") else call(serve)

        yield ask

    async def sleep(seconds: float) -> None:
        await clock.advance(seconds)

    monkeypatch.setattr(cluster_operations, "operator_of", operator_of)
    monkeypatch.setattr(clock, "sleep", sleep)
    given = {"LITERESEARCHER_DATA_DIR": str(tmp_path), "LITERESEARCHER_CLUSTER__DRAIN_SECONDS": "2"}
    assert await cluster_operations.drain(load_settings(given, dotenv=None), "10.0.0.0", clock) == 1
    said = capsys.readouterr().err
    assert serve.drained == ["n0"]
    assert said.count("waiting for the replicas on 10.0.0.0 to end (1), 2 s at most") == 1
    assert ("is the only node" in said) is alone
    assert "1 replicas are still on 10.0.0.0" in said
