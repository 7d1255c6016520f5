"""What becomes of jobs when their orchestrator is to stop, or is lost with its node: others go on with them, over a
real store. Turns: `test_drain`.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from cluster.nodes import lose
from cluster.queued import QueuedJobs
from literesearcher.research.events import Event, TurnCompleted
from literesearcher.testing.bench import Bench
from literesearcher.testing.gated_tools import ALL, gated_configuration
from literesearcher.testing.timed_application import timed_configuration
from literesearcher.testing.timed_engine import Timing

pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")


def lives(jobs: QueuedJobs, asked: list[str]) -> list[list[Event]]:
    """The journal of each."""

    async def read(bench: Bench) -> list[list[Event]]:
        return [[row.event for row in await bench.store.read(job) if row.event is not None] for job in asked]

    return jobs.do(read)


def attempts(events: list[Event]) -> int:
    return sum(event.type == "attempt.started" for event in events)


def turns(events: list[Event]) -> list[TurnCompleted]:
    return [event for event in events if isinstance(event, TurnCompleted)]


def workers_of(jobs: QueuedJobs, lease_seconds: int, replicas: int = 1) -> dict[str, Any]:
    """Orchestrators."""
    found = jobs.application()
    (deployment,) = found["deployments"]
    deployment.pop("autoscaling_config", None)
    deployment["num_replicas"] = replicas
    found["args"]["settings"]["LITERESEARCHER_ORCHESTRATOR__LEASE_SECONDS"] = str(lease_seconds)
    return found


def test_a_redeployed_orchestrator_hands_its_jobs_back_and_they_go_on_at_once(cluster, tmp_path):
    """Their leases hold for an hour: nobody waits for those."""
    jobs, gates = QueuedJobs(tmp_path, jobs_at_once=2), tmp_path / "gates"
    gates.mkdir()
    asked = jobs.add(2)
    quick = Timing(prefill_per_second=1e6, decode_per_second=1e5)
    try:
        cluster.put(timed_configuration("engine", quick, replicas=1))
        cluster.put(gated_configuration("tools", gates))
        workers = workers_of(jobs, 3600)
        cluster.put(workers)
        (before,) = [one.pid for one in cluster.replicas("orchestrator")]
        cluster.until(lambda: all(turns(events) for events in lives(jobs, asked)), "each job to wait for a tool")
        workers["deployments"][0]["ray_actor_options"]["num_cpus"] = 0.2
        cluster.put(workers, wait=False)
        cluster.until(
            lambda: all(attempts(events) == 2 for events in lives(jobs, asked)), "another worker to hold each job"
        )
        assert not jobs.ended(asked)
        (gates / ALL).touch()
        cluster.until(lambda: jobs.ended(asked) == ["answer"] * 2, "all jobs to end")
        assert before not in [one.pid for one in cluster.replicas("orchestrator")]
    finally:
        cluster.remove("orchestrator", "tools", "engine")


def shown(cluster: Any, metric: str) -> list[str]:
    """What the nodes' pages for Prometheus say of it."""
    lines: list[str] = []
    for node in cluster.operator.nodes():
        with contextlib.suppress(OSError), urllib.request.urlopen(node.metrics, timeout=10) as answer:
            lines += answer.read().decode().splitlines()
    return [line for line in lines if f"{metric}{{" in line]


def idle(lines: list[str]) -> set[str]:
    """The applications of which a metric by application is 0."""
    zero = [line for line in lines if float(line.split()[-1]) == 0]
    return {line.split('waiting_application="')[1].split('"')[0] for line in zero}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("why", ["scale_down", "drain"])
def test_an_orchestrator_that_is_stopped_hands_its_jobs_back(cluster, tmp_path, request, why):
    """Each holds two jobs, by leases of an hour; what one has handed back is taken up by another."""
    drained = request.getfixturevalue("second")[0] if why == "drain" else None
    replicas = 3 if drained else 2
    jobs, gates = QueuedJobs(tmp_path, jobs_at_once=2), tmp_path / "gates"
    gates.mkdir()
    asked = jobs.add(2 * replicas)
    quick = Timing(prefill_per_second=1e6, decode_per_second=1e5)
    try:
        cluster.put(timed_configuration("engine", quick, replicas=2))
        cluster.put(gated_configuration("tools", gates))
        cluster.put(workers_of(jobs, 3600, replicas))
        before = {one.name: one.node_ip for one in cluster.replicas("orchestrator")}
        cluster.until(lambda: all(turns(events) for events in lives(jobs, asked)), "each job to wait for a tool")
        cluster.until(
            lambda: idle(shown(cluster, "literesearcher_replicas_waiting")) == {"engine", "tools", "orchestrator"},
            "orchestrators to show that no replica waits for a place",
        )
        if drained:
            leaving = {name for name, ip in before.items() if ip == drained}
            assert 0 < len(leaving) < replicas, "orchestrators are spread over both nodes"
            subprocess.run(
                [sys.executable, "-m", "literesearcher.cli.main", "cluster", "drain", drained],
                env=cluster.environment | {"LITERESEARCHER_CLUSTER__ADDRESS": cluster.ray.address},
                check=True,
                timeout=200,
            )
        else:
            cluster.put(workers_of(jobs, 3600, 1))
            leaving = before.keys() - {one.name for one in cluster.replicas("orchestrator")}
            assert len(leaving) == 1
        assert not jobs.ended(asked)
        (gates / ALL).touch()
        cluster.until(lambda: jobs.ended(asked) == ["answer"] * len(asked), "all jobs to end")
        assert sorted(attempts(events) for events in lives(jobs, asked)) == sorted(
            [2] * 2 * len(leaving) + [1] * 2 * (replicas - len(leaving))
        )
    finally:
        cluster.remove("orchestrator", "tools", "engine")


@pytest.mark.timeout(600)
def test_a_lost_node_loses_no_job(cluster, second, tmp_path):
    """Its turns are made again elsewhere, and its orchestrators' jobs go on with others when their leases have run
    out."""
    ip, node = second
    jobs, gates = QueuedJobs(tmp_path, jobs_at_once=3), tmp_path / "gates"
    gates.mkdir()
    (gates / ALL).touch()
    asked = jobs.add(8)
    slow_turns = Timing(prefill_per_second=1e6, decode_per_second=6.0, half_speed_at=1000, chunk=4)
    try:
        cluster.put(timed_configuration("engine", slow_turns, replicas=4))
        there = {one.name for one in cluster.replicas("engine") if one.node_ip == ip}
        assert 0 < len(there) < 4, "replicas are spread over both nodes"
        cluster.put(gated_configuration("tools", gates))
        cluster.put(workers_of(jobs, 5, 3))
        workers = [one.node_ip for one in cluster.replicas("orchestrator")]
        assert set(workers) > {ip}, "orchestrators are spread over both nodes"
        # Each turn takes ten seconds and each orchestrator holds jobs, so both kinds of loss come about.
        cluster.until(lambda: all(turns(events) for events in lives(jobs, asked)), "the first turns")
        served = {turn.replica for events in lives(jobs, asked) for turn in turns(events)}
        lose(node)
        cluster.until(lambda: jobs.ended(asked) == ["answer"] * 8, "all jobs to end", 240)
        assert served & there, "the lost node was at work"
        ended = lives(jobs, asked)
        assert {turns(events)[-1].replica for events in ended}.isdisjoint(there)
        for events in ended:
            made = [turn.turn for turn in turns(events)]
            assert made == list(range(1, len(made) + 1)), "each turn once"
        assert any(attempts(events) > 1 for events in ended), "the lost orchestrator held jobs"
    finally:
        cluster.remove("orchestrator", "tools", "engine")
