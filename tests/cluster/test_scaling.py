"""Replicas of real Serve rise and fall by the engine's policy, over pools with made-up timing."""

from __future__ import annotations

import asyncio

import pytest

from literesearcher.cluster.serve_engine import ServeEngine
from literesearcher.engine.port import GenerationRequest
from literesearcher.research.messages import Message, Sampling
from literesearcher.testing.timed_application import DEPLOYMENT, timed_configuration
from literesearcher.testing.timed_engine import Timing

pytest.importorskip("ray")
POOL = 40_000
JOBS = [f"job_{number}" for number in range(6)]


def test_replicas_rise_with_the_kv_that_jobs_hold_and_fall_when_they_end(cluster) -> None:
    """Nobody generates while it is counted: jobs that wait for their tools hold the pools."""
    from ray import serve

    application = timed_configuration(
        "scaled", timing=Timing(kv_tokens=POOL, prefill_per_second=1e6, decode_per_second=1e5), replicas=1
    )
    (deployment,) = application["deployments"]
    deployment.pop("num_replicas", None)
    deployment["autoscaling_config"] = {
        "min_replicas": 1,
        "max_replicas": 3,
        "metrics_interval_s": 1.0,
        "look_back_period_s": 5.0,
        "upscale_delay_s": 0.0,
        "downscale_delay_s": 0.0,
        "policy": {
            "policy_function": "literesearcher.cluster.scaling.ray_policies:EnginePolicy",
            "policy_kwargs": {"start_seconds": 5.0, "up_seconds": 1.0, "down_seconds": 4.0},
        },
    }
    cluster.put(application)
    try:
        engine = ServeEngine(serve.get_deployment_handle(DEPLOYMENT, "scaled"))

        async def fill() -> None:
            for job in JOBS:
                prompt = (Message("user", "x" * 4 * 10_000),)
                await engine.generate(GenerationRequest(job, prompt, Sampling(), 100, turn=1), timeout_seconds=60)

        async def empty() -> None:
            for job in JOBS:
                await engine.release(job)

        assert len(cluster.replicas("scaled")) == 1
        asyncio.run(fill())
        cluster.until(lambda: len(cluster.replicas("scaled")) >= 2, "a second replica")
        asyncio.run(empty())
        cluster.until(lambda: len(cluster.replicas("scaled")) == 1, "one replica again")
    finally:
        cluster.remove("scaled")
