"""What becomes of turns when replicas are to stop: redeploy, scale-down, a bound that is too short, a node that is
drained or lost; and that a call that nobody wants any more ends in the replica too. Jobs: `test_handing_on`.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from cluster.nodes import lose
from literesearcher.cluster.routing.policy import Replica, order
from literesearcher.cluster.serve_engine import ServeEngine
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.errors import BoundaryError, CallLost, ReplicaLeaving
from literesearcher.research.messages import Message, Sampling
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


def engine_of(application: str, on_moved: Callable[[str], None] | None = None) -> ServeEngine:
    from ray import serve

    # By gRPC, as the replicas of a cluster call each other (`configuration.SERVE_ENVIRONMENT`).
    handle = serve.get_deployment_handle(DEPLOYMENT, application).options(_by_reference=False)
    return ServeEngine(handle, on_moved=on_moved)


def refuses(application: str, replica: str) -> bool:
    """Asked past all routers, as a caller would whose word of the replicas is as old as can be. If it takes the turn,
    that ends at once for want of time."""
    import ray
    from ray.serve._private.common import RequestMetadata

    actor = ray.get_actor(f"SERVE_REPLICA::{application}#{DEPLOYMENT}#{replica}", namespace="serve")
    call = pickle.dumps(RequestMetadata(request_id="r", internal_request_id="i", call_method="generate"))
    answer = ray.get(actor.handle_request.remote(call, ask("job_late"), 0.05), timeout=60)
    assert isinstance(answer, ReplicaLeaving | BoundaryError)
    return isinstance(answer, ReplicaLeaving)


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
    (old,) = [one.name for one in cluster.replicas(application)]
    changed = timed_configuration(application, TIMING, replicas=1, script=SHORT)
    await asyncio.to_thread(cluster.put, changed, wait=False)
    await asyncio.to_thread(cluster.until, lambda: refuses(application, old), "the old replica to refuse late turns")
    assert not listening.work.done()
    clock = SystemClock()
    other = await retrying(
        lambda: engine.generate(ask("job_short"), timeout_seconds=100),
        policy=RetryPolicy(tries=50),
        clock=clock,
        deadline=clock.monotonic() + 100,
    )
    before = await listening.whole("job_long")
    assert before.replica == old
    assert other.replica != before.replica
    assert len(listening.pieces) >= 20, "it came piece by piece"


async def test_a_redeploy_that_cannot_start_leaves_the_old_replicas_where_others_start_first(cluster, application):
    first = timed_configuration(application, TIMING, replicas=1, script=SHORT, max_surge_percent=100)
    await asyncio.to_thread(cluster.put, first)
    (old,) = [one.name for one in cluster.replicas(application)]
    await asyncio.to_thread(cluster.put, {**first, "args": {"timing": {"no_such": 1}}}, wait=False)

    def failed() -> bool:
        (found,) = [one for one in cluster.operator.running() if one.name == application]
        return found.state == "DEPLOY_FAILED" and "no_such" in found.blocked

    await asyncio.to_thread(cluster.until, failed, "Serve to give it up")
    assert [one.name for one in cluster.replicas(application)] == [old]
    assert (await engine_of(application).generate(ask("job"), timeout_seconds=100)).replica == old


async def test_a_scale_down_lets_every_stream_finish_and_sends_late_turns_elsewhere(cluster, application, monkeypatch):
    from ray.serve.request_router import RequestRouter

    await asyncio.to_thread(cluster.put, slow(application, 2, routing={"margin_seconds": 1000}))
    moved: list[str] = []
    engine = engine_of(application, moved.append)
    jobs = [f"job_{number}" for number in range(8)]
    listening = [Listening(engine, job) for job in jobs]
    for one in listening:
        await one.begun.wait()
    both = {one.name for one in cluster.replicas(application)}
    # From here on this process' router hears nothing of Serve.
    monkeypatch.setattr(RequestRouter, "_update_running_replicas", lambda self, replicas: None)
    await asyncio.to_thread(cluster.put, slow(application, 1, routing={"margin_seconds": 1000}), wait=False)
    await asyncio.to_thread(cluster.until, lambda: len(cluster.replicas(application)) == 1, "Serve to choose one")
    (stays,) = [one.name for one in cluster.replicas(application)]
    (stops,) = both - {stays}
    await asyncio.to_thread(cluster.until, lambda: refuses(application, stops), "it to refuse late turns")
    assert not any(one.work.done() for one in listening)
    late = next(
        job
        for job in (f"late_{number}" for number in range(200))
        if order(job, [Replica(name, TIMING.kv_tokens) for name in both])[0].id == stops
    )
    sent_on = await engine.generate(replace(ask(late), max_tokens=3), timeout_seconds=60)
    assert (sent_on.replica, moved) == (stays, ["refused"]), sent_on.routing
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


@pytest.mark.timeout(600)
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


@pytest.mark.timeout(600)
async def test_a_drained_node_is_left_by_its_replicas_when_their_streams_have_ended(cluster, second, application):
    second_node, _ = second
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
    assert (draining.returncode, out.decode().splitlines()[-1]) == (0, f"{second_node} is drained"), out
    left = {one.name for one in there}
    assert left & {one.replica for one in done}, "the drained node was at work"
    assert not [one for one in cluster.replicas(application) if one.node_ip == second_node]
    assert len(cluster.replicas(application)) == 4
