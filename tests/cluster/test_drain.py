"""What becomes of a stream of text when its replica is to stop: redeploy, scale-down, a bound that is too short, a node
that is drained; and that a call that nobody wants any more ends in the replica too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from literesearcher.cluster.serve_engine import ServeEngine
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Message, Sampling
from literesearcher.testing.timed_application import DEPLOYMENT, timed_configuration
from literesearcher.testing.timed_engine import Timing
from literesearcher.testing.timed_script import ResearchScript

pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")
SLOW = {"searches": 0, "words": 240}
TIMING = Timing(prefill_per_second=1e6, decode_per_second=12.0, half_speed_at=1000, chunk=4)
"""About 360 tokens of thought: half a minute."""
SHORT = {"searches": 0, "words": 4}


def ask(job: str) -> GenerationRequest:
    return GenerationRequest(job, (Message("user", "a question"),), Sampling(), 2_000, turn=1)


def said(job: str) -> str:
    return ResearchScript(**SLOW)(ask(job))


def engine_of(application: str) -> ServeEngine:
    from ray import serve

    return ServeEngine(serve.get_deployment_handle(DEPLOYMENT, application))


class Listening:
    """A stream that is being read."""

    def __init__(self, engine: ServeEngine, job: str) -> None:
        self.pieces: list[str] = []
        self.begun = asyncio.Event()
        self.work = asyncio.create_task(engine.generate(ask(job), timeout_seconds=100, on_delta=self._hear))

    async def _hear(self, piece: str) -> None:
        self.pieces.append(piece)
        self.begun.set()

    async def whole(self, job: str) -> Generation:
        """Its end; nothing is missing, and nothing came twice."""
        generation = await self.work
        assert generation.text == said(job) == "".join(self.pieces)
        return generation


@pytest.fixture
def application(cluster: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name of this test's own."""
    name = request.node.name.replace("[", "_").strip("]")
    yield name
    cluster.remove(name)


def slow(name: str, replicas: int = 1, **options: Any) -> dict[str, Any]:
    options = {"graceful_shutdown_timeout_s": 100} | options
    return timed_configuration(name, TIMING, replicas=replicas, script=SLOW, **options)


async def test_a_redeploy_lets_half_a_minute_of_text_finish_and_sends_others_to_the_new(cluster, application):
    await asyncio.to_thread(cluster.put, slow(application))
    engine = engine_of(application)
    listening = Listening(engine, "job_long")
    await listening.begun.wait()
    changed = timed_configuration(application, TIMING, replicas=1, script=SHORT)
    await asyncio.to_thread(cluster.put, changed, wait=False)
    async with asyncio.timeout(100):
        while (other := await engine.generate(ask("job_short"), timeout_seconds=100)).text == said("job_short"):
            await asyncio.sleep(0.2)
    before = await listening.whole("job_long")
    assert other.replica != before.replica
    assert len(listening.pieces) >= 20, "it came piece by piece"


async def test_a_scale_down_lets_every_stream_finish(cluster, application):
    await asyncio.to_thread(cluster.put, slow(application, 2))
    engine = engine_of(application)
    jobs = [f"job_{number}" for number in range(8)]
    listening = [Listening(engine, job) for job in jobs]
    for one in listening:
        await one.begun.wait()
    await asyncio.to_thread(cluster.put, slow(application, 1), wait=False)
    done = [await one.whole(job) for one, job in zip(listening, jobs, strict=True)]
    assert len({one.replica for one in done}) == 2, "both were at work"
    await asyncio.to_thread(cluster.until, lambda: len(cluster.replicas(application)) == 1, "one replica to go")


async def test_a_stream_beyond_the_bound_is_lost_with_its_replica_and_may_be_tried_again(cluster, application):
    await asyncio.to_thread(cluster.put, slow(application, graceful_shutdown_timeout_s=1))
    listening = Listening(engine_of(application), "job_long")
    await listening.begun.wait()
    changed = timed_configuration(application, TIMING, replicas=1, script=SHORT)
    await asyncio.to_thread(cluster.put, changed, wait=False)
    with pytest.raises(BoundaryError) as caught:
        await listening.work
    assert (caught.value.code, caught.value.transient) == ("engine_unreachable", True)


async def test_a_killed_replica_is_an_error_that_may_be_tried_again(cluster, application):
    await asyncio.to_thread(cluster.put, slow(application))
    listening = Listening(engine_of(application), "job_long")
    await listening.begun.wait()
    os.kill(cluster.replicas(application)[0].pid, signal.SIGKILL)
    with pytest.raises(BoundaryError) as caught:
        await listening.work
    assert (caught.value.code, caught.value.transient) == ("engine_unreachable", True)


@pytest.mark.parametrize("heard", [True, False], ids=["streamed", "whole"])
async def test_a_cancelled_call_ends_in_the_replica(cluster, application, heard):
    from ray import serve

    await asyncio.to_thread(cluster.put, slow(application))
    engine = engine_of(application)
    handle = serve.get_deployment_handle(DEPLOYMENT, application)

    async def running() -> int:
        return int((await handle.load.remote()).running)

    async def until_running(count: int) -> None:
        async with asyncio.timeout(60):
            while await running() != count:
                await asyncio.sleep(0.05)

    async def unheard(piece: str) -> None:
        pass

    call = asyncio.create_task(
        engine.generate(ask("job_long"), timeout_seconds=100, on_delta=unheard if heard else None)
    )
    await until_running(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until_running(0)


async def test_what_is_kept_of_a_job_goes_when_it_is_released(cluster, application):
    from ray import serve

    quick = Timing(prefill_per_second=1e6, decode_per_second=1e5)
    await asyncio.to_thread(cluster.put, timed_configuration(application, quick, replicas=2, script=SHORT))
    engine = engine_of(application)
    handle = serve.get_deployment_handle(DEPLOYMENT, application)
    jobs = [f"job_{number}" for number in range(6)]
    for job in jobs:
        await engine.generate(ask(job), timeout_seconds=60)

    async def used() -> int:
        loads = await handle.broadcast("load").results_async()
        assert len(loads) == 2
        return sum(load.kv_used for load in loads)

    assert await used() > 0
    for job in jobs:
        await engine.release(job)
    assert await used() == 0


@pytest.fixture
def second_node(cluster: Any) -> Iterator[str]:
    """Another node of the same Ray; its address."""
    ip = "127.0.0.3"
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--address={cluster.ray.address}"),
        *(f"--node-ip-address={ip}", "--num-cpus=4", "--resources", '{"second": 1}', "--disable-usage-stats"),
        *("--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0"),
        *("--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0", "--metrics-export-port=0"),
        "--runtime-env-agent-port=0",
    ]
    log = Path(cluster.ray.folder) / "second.log"
    with log.open("wb") as out:
        node = subprocess.Popen(
            command, env=cluster.environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
        )
    cluster.until(lambda: any(one.ip == ip for one in cluster.operator.nodes()), "a second node")
    yield ip
    with contextlib.suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()
    cluster.until(lambda: all(one.ip != ip for one in cluster.operator.nodes()), "the second node to be gone")


async def test_a_drained_node_is_left_by_its_replicas_when_their_streams_have_ended(cluster, second_node, application):
    await asyncio.to_thread(cluster.put, slow(application, 4))
    there = [one for one in cluster.replicas(application) if one.node_ip == second_node]
    assert 0 < len(there) < 4, "replicas are spread over both nodes"
    engine = engine_of(application)
    jobs = [f"job_{number}" for number in range(16)]
    listening = [Listening(engine, job) for job in jobs]
    for one in listening:
        await one.begun.wait()
    draining = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "literesearcher.cli.main", "cluster", "drain", second_node),
        env=cluster.environment | {"LITERESEARCHER_CLUSTER__ADDRESS": cluster.ray.address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    done = [await one.whole(job) for one, job in zip(listening, jobs, strict=True)]
    out, _ = await draining.communicate()
    assert (draining.returncode, out.decode()) == (0, f"{second_node} is drained\n")
    left = {one.name for one in there}
    assert left & {one.replica for one in done}, "the drained node was at work"
    assert not [one for one in cluster.replicas(application) if one.node_ip == second_node]
    assert len(cluster.replicas(application)) == 4
