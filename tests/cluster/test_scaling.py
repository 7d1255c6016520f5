"""Replicas of real Serve rise and fall by our policies, over pools with made-up timing and a real job store."""

from __future__ import annotations

import asyncio
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

from cluster.queued import QueuedJobs, scaled
from literesearcher.cluster.scaling.signs import Sign, read_sign
from literesearcher.cluster.serve_engine import ServeEngine
from literesearcher.engine.port import GenerationRequest
from literesearcher.research.messages import Message, Sampling
from literesearcher.testing.gated_tools import ALL, gated_configuration
from literesearcher.testing.replay.programs import COMMAND
from literesearcher.testing.timed_application import DEPLOYMENT, timed_configuration
from literesearcher.testing.timed_engine import Timing
from literesearcher.timing.clock import SystemClock

pytest.importorskip("ray")
POOL = 40_000
JOB = 9_500
"""Tokens of a prompt: four of them fill a pool, further ones push them out."""
JOBS = [f"job_{number}" for number in range(6)]


def wanted(cluster, application: str) -> int:
    """What Serve was told to run."""
    [found] = [one for one in cluster.operator.running() if one.name == application]
    return found.wanted


def sign_of(application: str) -> Sign | None:
    """What its policy says of itself."""
    return read_sign(application, SystemClock().now())


def status(cluster, folder: Path) -> str:
    """What an operator reads."""
    settings = {"LITERESEARCHER_CLUSTER__ADDRESS": cluster.ray.address, "LITERESEARCHER_DATA_DIR": str(folder)}
    asked = subprocess.run(
        [*COMMAND, "cluster", "status"],
        env=cluster.environment | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr
    return asked.stdout


def term(application: str, name: str) -> float:
    """One of its last decision, 0 where it has none."""
    sign = sign_of(application)
    return sign.terms.get(name, 0.0) if sign is not None else 0.0


def test_engines_rise_with_the_kv_that_jobs_hold_and_fall_when_they_end(cluster) -> None:
    """Nobody generates while it is counted: jobs that wait for their tools hold the pools."""
    from ray import serve

    timing = Timing(kv_tokens=POOL, prefill_per_second=1e6, decode_per_second=1e5)
    cluster.put(
        scaled(timed_configuration("scaled", timing=timing, replicas=1), "EnginePolicy", most=3, start_seconds=5.0)
    )
    try:
        handle = serve.get_deployment_handle(DEPLOYMENT, "scaled")
        engine = ServeEngine(handle)

        async def fill() -> None:
            for job in JOBS:
                prompt = (Message("user", "x" * 4 * JOB),)
                await engine.generate(GenerationRequest(job, prompt, Sampling(), 100, turn=1), timeout_seconds=60)

        async def empty() -> None:
            for job in JOBS:
                await engine.release(job)

        def told(number: int) -> int:
            """Replicas, after an orchestrator's word that nothing is queued."""
            asyncio.run(engine.exchange(0, number))
            return len(cluster.replicas("scaled"))

        # Nobody has said yet what is queued: whatever the pools hold, the number stays.
        asyncio.run(fill())
        cluster.until(lambda: (one := sign_of("scaled")) and one.reason == "missing", "the policy to miss the queue")
        assert wanted(cluster, "scaled") == 1
        cluster.until(lambda: told(len(JOBS)) >= 2, "a second replica")
        cluster.until(lambda: told(len(JOBS)) and term("scaled", "kv") > 0.5, "the policy to say why")
        asyncio.run(empty())
        cluster.until(lambda: told(0) == 1, "one replica again")
        handle.shutdown()
    finally:
        cluster.remove("scaled")


def test_orchestrators_rise_with_a_backlog_and_tools_with_calls_and_both_fall(cluster, tmp_path: Path) -> None:
    """Two jobs a worker, eight in the store, each of which waits for a tool: three workers, and so many calls that a
    second tool proxy comes. A redeploy of the workers keeps their number. When the tools answer, all of it goes."""
    jobs, gates = QueuedJobs(tmp_path, jobs_at_once=2), tmp_path / "gates"
    gates.mkdir()
    timing = Timing(kv_tokens=10 * POOL, prefill_per_second=1e6, decode_per_second=1e5)
    asked = jobs.add(8)
    cluster.put(scaled(timed_configuration("engine", timing=timing, replicas=1), "EnginePolicy", most=2))
    cluster.put(scaled(gated_configuration("tools", gates), "ToolsPolicy", most=2, calls=3))
    workers = jobs.application()
    cluster.put(workers)
    try:
        cluster.until(lambda: len(cluster.replicas("orchestrator")) == 3, "three workers")
        cluster.until(lambda: len(cluster.replicas("tools")) == 2, "a second tool proxy")
        cluster.until(lambda: jobs.backlog().running == 6, "as many jobs as three workers hold")
        cluster.until(
            lambda: (term("orchestrator", "backlog"), term("orchestrator", "live")) == (1, 3), "the policy to say why"
        )
        # The engine's own replicas see no store: the orchestrators tell them.
        cluster.until(lambda: term("engine", "backlog") > 0, "the engine's policy to hear of the queue")
        said = status(cluster, tmp_path)
        assert re.search(r"^orchestrator healthy, 3 of 3 replicas\n  wants 3, \w+: backlog 1, live 3$", said, re.M), (
            said
        )
        before = {one.pid for one in cluster.replicas("orchestrator")}
        workers["deployments"][0]["ray_actor_options"]["num_cpus"] = 0.2
        cluster.put(workers)
        cluster.until(
            lambda: len(now := {one.pid for one in cluster.replicas("orchestrator")}) == 3 and not now & before,
            "three new workers",
        )
        (gates / ALL).touch()
        cluster.until(lambda: jobs.ended(asked) == ["answer"] * 8, "all jobs to end")
        cluster.until(lambda: len(cluster.replicas("orchestrator")) == 1, "one worker again")
        cluster.until(lambda: len(cluster.replicas("tools")) == 1, "one tool proxy again")
        cluster.until(lambda: gauges(), "Ray's metrics page to show what the policies decided")
    finally:
        cluster.remove("orchestrator", "tools", "engine")


def gauges() -> bool:
    """Whether each policy's wanted number and terms are on Ray's metrics page."""
    import ray

    # Of this process' node; other tests' nodes have come and gone.
    own = ray.get_runtime_context().get_node_id()
    [node] = [one for one in ray.nodes() if one["NodeID"] == own]
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        page = answer.read().decode()
    lines = [line for line in page.splitlines() if line.startswith("ray_literesearcher_scaling_")]
    return all(
        any("wanted_replicas" in line and f'application="{name}"' in line for line in lines)
        and any("scaling_term" in line and f'term="{term}"' in line for line in lines)
        for name, term in (("orchestrator", "backlog"), ("tools", "in_flight"))
    )
