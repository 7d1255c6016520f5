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

from cluster.queued import QueuedJobs
from literesearcher.cluster.serve_engine import ServeEngine
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.errors import BoundaryError, CallLost
from literesearcher.research.events import Event, TurnCompleted
from literesearcher.research.messages import Message, Sampling
from literesearcher.testing.bench import Bench
from literesearcher.testing.gated_tools import ALL, gated_configuration
from literesearcher.testing.timed_application import DEPLOYMENT, timed_configuration
from literesearcher.testing.timed_engine import Timing
from literesearcher.testing.timed_script import ResearchScript
from literesearcher.timing.clock import SystemClock
from literesearcher.timing.retry import RetryPolicy, retrying

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

    # By gRPC, as the replicas of a cluster call each other (`configuration.SERVE_ENVIRONMENT`).
    return ServeEngine(serve.get_deployment_handle(DEPLOYMENT, application).options(_by_reference=False))


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


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
async def test_a_killed_replica_is_a_lost_call(cluster, application, sent):
    await asyncio.to_thread(cluster.put, slow(application))
    listening = Listening(engine_of(application), "job_long")
    await listening.begun.wait()
    os.kill(cluster.replicas(application)[0].pid, sent)
    with pytest.raises(CallLost) as caught:
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
def second(cluster: Any) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Another node of the same Ray: its address, and the process that heads its session."""
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
    yield ip, node
    lose(node)
    cluster.until(lambda: all(one.ip != ip for one in cluster.operator.nodes()), "the second node to be gone")


def lose(node: subprocess.Popen[bytes]) -> None:
    """SIGKILL to all processes of the node: its power is gone."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(entry.name)) == node.pid and int(entry.name) != node.pid:
                os.kill(int(entry.name), signal.SIGKILL)
    node.kill()
    node.wait()


@pytest.fixture
def second_node(second: tuple[str, subprocess.Popen[bytes]]) -> str:
    """Its address."""
    return second[0]


async def test_turns_of_a_lost_node_are_made_again_elsewhere_once_each(cluster, second, application):
    ip, node = second
    await asyncio.to_thread(cluster.put, slow(application, 4))
    there = {one.name for one in cluster.replicas(application) if one.node_ip == ip}
    assert 0 < len(there) < 4, "replicas are spread over both nodes"
    engine = engine_of(application)
    clock = SystemClock()
    retries: list[str] = []
    begun: list[asyncio.Event] = []

    async def turn(job: str) -> Generation:
        event = asyncio.Event()
        begun.append(event)

        async def hear(piece: str) -> None:
            event.set()

        return await retrying(
            lambda: engine.generate(ask(job), timeout_seconds=200, on_delta=hear),
            policy=RetryPolicy(tries=1),
            clock=clock,
            deadline=clock.monotonic() + 400,
            on_retry=lambda tried, error, wait: retries.append(job),
        )

    jobs = [f"job_{number}" for number in range(16)]
    turns = [asyncio.create_task(turn(job)) for job in jobs]
    await asyncio.sleep(0)
    for event in begun:
        await asyncio.wait_for(event.wait(), 100)
    lose(node)
    done = await asyncio.gather(*turns)
    assert [one.text for one in done] == [said(job) for job in jobs]
    assert 0 < len(retries) < len(jobs)
    assert len(set(retries)) == len(retries), "one more try each"
    assert not there & {one.replica for one in done}


def lives(jobs: QueuedJobs, asked: list[str]) -> list[list[Event]]:
    """The journal of each."""

    async def read(bench: Bench) -> list[list[Event]]:
        return [[row.event for row in await bench.store.read(job) if row.event is not None] for job in asked]

    return jobs.do(read)


def attempts(events: list[Event]) -> int:
    return sum(event.type == "attempt.started" for event in events)


def turns(events: list[Event]) -> list[TurnCompleted]:
    return [event for event in events if isinstance(event, TurnCompleted)]


def workers_of(jobs: QueuedJobs, lease_seconds: int) -> dict[str, Any]:
    """One orchestrator."""
    found = jobs.application()
    (deployment,) = found["deployments"]
    deployment.pop("autoscaling_config", None)
    deployment["num_replicas"] = 1
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
