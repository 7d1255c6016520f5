"""The router on real Serve, over replicas with made-up timing: who serves which turn, and what callers learn of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from literesearcher.cluster.routing.policy import Replica, order
from literesearcher.cluster.serve_engine import ServeEngine
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.errors import BoundaryError, CallLost
from literesearcher.research.messages import Message, Sampling
from literesearcher.testing.timed_application import DEPLOYMENT, timed_configuration
from literesearcher.testing.timed_engine import Timing

ray = pytest.importorskip("ray")
POOL = 100_000
QUICK = Timing(kv_tokens=POOL, prefill_per_second=1e6, decode_per_second=1e5)
SLOW = Timing(kv_tokens=POOL, prefill_per_second=1_000, decode_per_second=1e5)
"""A thousand tokens of another prompt cost a second: two applications, two speeds."""
JOBS = [f"job_{number}" for number in range(12)]

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def ask(job: str, tokens: int = 500, **changes: Any) -> GenerationRequest:
    """A first turn."""
    return GenerationRequest(job, (Message("user", "x" * 4 * tokens),), Sampling(), 1_000, turn=1, **changes)


def then(request: GenerationRequest, said: Generation) -> GenerationRequest:
    """The next turn, as whoever holds the job by then asks for it: by the event of the last one."""
    seen = said.usage.prompt_tokens + said.usage.completion_tokens
    return replace(
        request,
        messages=(*request.messages, Message("assistant", said.text), Message("user", "y" * 400)),
        turn=request.turn + 1,
        prompt_tokens=seen + 110,
        last_replica=said.replica,
        kept_tokens=seen,
    )


@dataclass
class Caller:
    """An engine over a handle, as an orchestrator has it. One router a process and application."""

    application: str

    def __post_init__(self) -> None:
        from ray import serve

        self.handle = serve.get_deployment_handle(DEPLOYMENT, self.application)
        self.moved: list[str] = []
        self.engine = ServeEngine(self.handle, on_moved=self.moved.append)

    def run(self, work: Callable[[ServeEngine], Coroutine[Any, Any, Any]]) -> Any:
        """In an event loop of its own."""
        return asyncio.run(work(self.engine))

    def one(self, request: GenerationRequest) -> Generation:
        """One generation."""
        said: Generation = self.run(lambda engine: engine.generate(request, timeout_seconds=60))
        return said

    def all(self, requests: list[GenerationRequest]) -> list[Generation]:
        """At once."""

        async def work(engine: ServeEngine) -> list[Generation]:
            return await asyncio.gather(*(engine.generate(one, timeout_seconds=60) for one in requests))

        said: list[Generation] = self.run(work)
        return said


@pytest.fixture(scope="module")
def quick(cluster: Any) -> Iterator[str]:
    """Three replicas that nobody harms. Many calls at once are worth a move, but not where homes are looked at."""
    yield cluster.put(timed_configuration("quick", QUICK, replicas=3, routing={"margin_seconds": 60}))
    cluster.remove("quick")


@pytest.fixture
def own(cluster: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """An application of this test's own."""
    name = request.node.name

    def put(timing: Timing, replicas: int, **options: Any) -> str:
        return str(cluster.put(timed_configuration(name, timing, replicas=replicas, **options)))

    yield put
    cluster.remove(name)


def names_of(cluster: Any, application: str) -> list[str]:
    """Replica ids, as generations name them."""
    return sorted(one.name for one in cluster.replicas(application))


def home(job: str, names: list[str]) -> str:
    """As anybody computes it."""
    return order(job, [Replica(name, POOL) for name in names])[0].id


def settled(caller: Caller, cluster: Any) -> None:
    """Every replica has said its load to this caller's router."""

    def heard() -> bool:
        return all(said.routing != "fallback" for said in caller.all([ask(job, 20) for job in JOBS]))

    cluster.until(heard, "reports of all replicas")


def test_jobs_stay_at_their_homes_and_find_their_prefix_there(cluster, quick):
    caller = Caller(quick)
    settled(caller, cluster)
    names = names_of(cluster, quick)
    requests = [ask(f"{job}_sticky") for job in JOBS]
    for turn in range(3):
        said = caller.all(requests)
        assert [one.replica for one in said] == [home(one.program, names) for one in requests]
        assert {one.routing for one in said} == {"home"}
        if turn:
            assert [one.usage.cached_tokens for one in said] == [one.kept_tokens for one in requests]
        requests = [then(request, one) for request, one in zip(requests, said, strict=True)]
    assert len({one.last_replica for one in requests}) == 3


def test_whoever_holds_a_job_next_starts_from_the_replica_of_its_last_turn(cluster, quick):
    caller = Caller(quick)
    settled(caller, cluster)
    away = next(name for name in names_of(cluster, quick) if name != home("job_away", names_of(cluster, quick)))
    said = caller.one(ask("job_away", last_replica=away, kept_tokens=400))
    assert (said.replica, said.routing) == (away, "stay")

    async def streamed(engine: ServeEngine) -> Generation:
        heard: list[str] = []

        async def hear(piece: str) -> None:
            heard.append(piece)

        got = await engine.generate(then(ask("job_away"), said), timeout_seconds=60, on_delta=hear)
        assert "".join(heard) == got.text
        return got

    again = caller.run(streamed)
    assert (again.replica, again.routing) == (away, "stay")


def test_twelve_parallel_calls_of_one_served_request_are_all_answered_at_their_homes(cluster, quick):
    """All calls that one Serve request makes share one id, by which Ray's own table finds one of them."""
    from ray import serve

    @serve.deployment(ray_actor_options={"num_cpus": 0.1})
    class Parent:
        async def __call__(self, application: str, count: int) -> list[tuple[str, str | None]]:
            engine = Caller(application).engine
            requests = [ask(f"child_{number}") for number in range(count)]
            said = await asyncio.gather(*(engine.generate(one, timeout_seconds=60) for one in requests))
            return [(one.program, got.replica) for one, got in zip(requests, said, strict=True)]

    handle = serve.run(Parent.bind(), name="parent", route_prefix=None)
    try:
        names = names_of(cluster, quick)
        for _ in range(4):
            answered = handle.remote(quick, 12).result(timeout_s=60)
            assert answered == [(f"child_{number}", home(f"child_{number}", names)) for number in range(12)]
    finally:
        serve.delete("parent")


DRIVER = """
import json, sys
from literesearcher.cluster.serving import connected
sys.path.insert(0, {folder!r})
with connected({address!r}):
    import test_routing as t
    caller = t.Caller({application!r})
    print(json.dumps([one.replica for one in caller.all([t.ask(job) for job in t.JOBS])]))
"""


def test_callers_in_several_processes_agree_on_each_home(cluster, quick, request):
    @ray.remote(num_cpus=0.1)
    class Actor:
        async def homes(self, application: str) -> list[str | None]:
            engine = Caller(application).engine
            said = await asyncio.gather(*(engine.generate(ask(job), timeout_seconds=60) for job in JOBS))
            return [one.replica for one in said]

    script = DRIVER.format(folder=str(request.path.parent), address=cluster.ray.address, application=quick)
    driver = subprocess.Popen([sys.executable, "-c", script], env=cluster.environment, stdout=subprocess.PIPE)
    actors = [Actor.remote() for _ in range(2)]
    try:
        answers = ray.get([actor.homes.remote(quick) for actor in actors], timeout=120)
        out, _ = driver.communicate(timeout=120)
    finally:
        driver.kill()
        for actor in actors:
            ray.kill(actor)
    answers.append(json.loads(out.splitlines()[-1]))
    answers.append([one.replica for one in Caller(quick).all([ask(job) for job in JOBS])])
    assert answers == [[home(job, names_of(cluster, quick)) for job in JOBS]] * 4


def test_pages_to_be_read_spread_over_all_replicas(cluster, quick):
    said = Caller(quick).all([ask("extract", purpose="extract") for _ in range(40)])
    assert {one.replica for one in said} == set(names_of(cluster, quick))
    assert {one.routing for one in said} == {"choices"}


def test_decisions_leave_by_rays_own_metrics(cluster, quick):
    caller = Caller(quick)
    settled(caller, cluster)
    assert {one.routing for one in caller.all([ask(job) for job in JOBS])} == {"home"}
    # Of this process' node; others may have come and gone.
    own_node = ray.get_runtime_context().get_node_id()
    (node,) = [one for one in ray.nodes() if one["NodeID"] == own_node]
    page = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"

    def counted() -> bool:
        with urllib.request.urlopen(page, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return any("literesearcher_router_decisions" in line and 'decision="home"' in line for line in lines)

    cluster.until(counted, "the counter")


def test_a_job_moves_away_from_a_queue_that_costs_more_than_its_prefix_and_then_stays(cluster, own):
    caller = Caller(own(SLOW, 2))
    settled(caller, cluster)
    names = names_of(cluster, caller.application)
    busy = home("job_x", names)
    (free,) = set(names) - {busy}
    flood = next(job for job in (f"flood_{number}" for number in range(200)) if home(job, names) == busy)

    async def work(engine: ServeEngine) -> list[Generation]:
        # 30,000 tokens are 30 s of prefill, and this caller's own calls count before any report speaks of them.
        queue = asyncio.create_task(engine.generate(ask(flood, 30_000), timeout_seconds=60))
        await asyncio.sleep(0)
        said = [await engine.generate(ask("job_x"), timeout_seconds=60)]
        said.append(await engine.generate(then(ask("job_x"), said[0]), timeout_seconds=60))
        queue.cancel()
        await asyncio.gather(queue, return_exceptions=True)
        return said

    moved, stayed = caller.run(work)
    assert (moved.replica, moved.routing) == (free, "spill")
    assert (stayed.replica, stayed.routing) == (free, "stay")
    assert stayed.usage.cached_tokens == moved.usage.prompt_tokens + moved.usage.completion_tokens

    # Another caller learns of a queue from the replicas alone.
    script = DRIVER.format(
        folder=str(Path(__file__).parent), address=cluster.ray.address, application=caller.application
    )

    async def watched(engine: ServeEngine) -> list[str | None]:
        queue = asyncio.create_task(engine.generate(ask(flood, 90_000), timeout_seconds=120))
        driver = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, env=cluster.environment, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(driver.communicate(), 80)
        queue.cancel()
        await asyncio.gather(queue, return_exceptions=True)
        answer: list[str | None] = json.loads(out.splitlines()[-1])
        return answer

    assert set(caller.run(watched)) == {free}


def test_where_the_home_takes_no_more_calls_another_does_and_the_caller_learns_of_it(cluster, own):
    drop_by_drop = Timing(kv_tokens=POOL, prefill_per_second=1e6, decode_per_second=10, chunk=1)
    caller = Caller(own(drop_by_drop, 2, max_ongoing_requests=1, script={"words": 1_000}))
    names = names_of(cluster, caller.application)
    busy = home("job_x", names)
    (free,) = set(names) - {busy}
    first = next(job for job in (f"other_{number}" for number in range(200)) if home(job, names) == busy)

    async def work(engine: ServeEngine) -> Generation:
        begun = asyncio.Event()

        async def hear(piece: str) -> None:
            begun.set()

        held = asyncio.create_task(engine.generate(ask(first), timeout_seconds=120, on_delta=hear))
        await asyncio.wait_for(begun.wait(), 60)
        said = await engine.generate(replace(ask("job_x"), max_tokens=5), timeout_seconds=60)
        assert not held.done()
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        return said

    said = caller.run(work)
    assert (said.replica, said.routing) == (free, "overflow")


def test_jobs_of_a_killed_replica_go_home_to_the_others_and_nobody_elses_move(cluster, own):
    caller = Caller(own(SLOW, 3, routing={"margin_seconds": 1_000}))
    settled(caller, cluster)
    names = names_of(cluster, caller.application)
    requests = [ask(job) for job in JOBS]
    said = caller.all(requests)
    lost = said[0].replica
    assert lost is not None
    streams = ask("streaming", 10_000, last_replica=lost)

    async def killed(engine: ServeEngine) -> BoundaryError:
        call = asyncio.create_task(engine.generate(streams, timeout_seconds=60))

        async def begun() -> bool:
            loads = await caller.handle.broadcast("load").results_async()
            return any(load.running for load in loads)

        # Ten seconds of prefill.
        async with asyncio.timeout(60):
            while not await begun():
                await asyncio.sleep(0.05)
        ray.kill(ray.get_actor(f"SERVE_REPLICA::{caller.application}#{DEPLOYMENT}#{lost}", namespace="serve"))
        with pytest.raises(BoundaryError) as caught:
            await call
        return caught.value

    # A call lost with its replica is made again by the one retry owner above; the router makes none.
    assert isinstance(caller.run(killed), CallLost)
    assert caller.moved == ["lost"]
    following = [then(request, one) for request, one in zip(requests, said, strict=True)]
    again = caller.all(following)
    rest = [name for name in names if name != lost]
    for before, after in zip(said, again, strict=True):
        if before.replica == lost:
            assert after.routing in {"rehome", "fallback"}
            assert after.replica != lost
            assert home(JOBS[said.index(before)], rest) == after.replica or after.replica not in names
        else:
            assert after.replica == before.replica
            assert after.usage.cached_tokens == before.usage.prompt_tokens + before.usage.completion_tokens
    cluster.until(lambda: len(cluster.replicas(caller.application)) == 3, "another replica in its place")


def test_a_leaving_replica_gets_no_new_jobs_and_is_left_turn_by_turn(cluster, own, monkeypatch):
    """All replicas are on the node that is to be left, so one is told alone: the home of a job, by that job's call."""
    caller = Caller(own(QUICK, 3, routing={"margin_seconds": 60}))
    settled(caller, cluster)
    names = names_of(cluster, caller.application)
    requests = [ask(f"{job}_old") for job in JOBS * 4]
    requests = [replace(one, program=f"{one.program}_{number}") for number, one in enumerate(requests)]
    said = caller.all(requests)
    leaving = said[0].replica
    assert leaving is not None
    at_home = next(one.program for one in requests if home(one.program, names) == leaving)
    from ray.serve.request_router import RequestRouter

    # A router that hears nothing from here on sends a new job home, where the replica itself refuses it.
    new = next(job for job in (f"new_{number}" for number in range(200)) if home(job, names) == leaving)
    stale = Caller(caller.application)
    with monkeypatch.context() as deaf:
        deaf.setattr(RequestRouter, "_update_running_replicas", lambda self, replicas: None)
        caller.run(lambda _: _told(caller, ray.get_runtime_context().get_node_id(), at_home))
        sent_on = stale.one(ask(new))
    assert sent_on.replica in set(names) - {leaving}
    assert stale.moved == ["refused"]
    # Whoever has nobody else to go to is served.
    stale.engine = ServeEngine(stale.handle, on_moved=stale.moved.append)
    stale.engine._refusing = dict.fromkeys(names, time.monotonic())
    assert stale.one(ask(f"{new}_insists")).replica in names

    def none_new() -> bool:
        return leaving not in {one.replica for one in caller.all([ask(f"{job}_new") for job in JOBS])}

    cluster.until(none_new, "the word of the leaving replica")
    kept: list[int] = []
    while not kept or kept[-1]:
        requests = [then(request, one) for request, one in zip(requests, said, strict=True)]
        before, said = said, caller.all(requests)
        kept.append(sum(one.replica == leaving for one in said))
        for old, new in zip(before, said, strict=True):
            if old.replica == leaving != new.replica:
                assert new.routing == "rehome"
            else:
                assert old.replica == new.replica
    # Not all at once, and never back.
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > 0
    assert set(names) - {leaving} == {one.replica for one in said}


async def _told(caller: Caller, node: str, job: str) -> None:
    await caller.handle.options(session_id=job).leave.remote(node)


def test_parameters_change_without_replacing_a_replica_and_reach_callers_that_exist(cluster, own):
    caller = Caller(own(SLOW, 2))
    settled(caller, cluster)
    names = names_of(cluster, caller.application)
    busy = home("job_x", names)
    flood = next(job for job in (f"flood_{number}" for number in range(200)) if home(job, names) == busy)

    async def placed(engine: ServeEngine) -> str | None:
        queue = asyncio.create_task(engine.generate(ask(flood, 20_000), timeout_seconds=60))
        await asyncio.sleep(0)
        call = asyncio.create_task(engine.generate(ask("job_x"), timeout_seconds=60))
        # Where it is patient it waits for the queue, and would for 20 s.
        done, _ = await asyncio.wait([call], timeout=5)
        for one in (queue, call):
            one.cancel()
        await asyncio.gather(queue, call, return_exceptions=True)
        return call.result().replica if done else None

    assert caller.run(placed) not in {None, busy}
    own(SLOW, 2, routing={"margin_seconds": 1_000})
    cluster.until(lambda: caller.run(placed) is None, "the router to be patient")
    assert names_of(cluster, caller.application) == names
    assert home("job_x", names_of(cluster, caller.application)) == busy
