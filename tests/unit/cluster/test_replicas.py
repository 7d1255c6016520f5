"""What the replicas record for the scaling policies, and how engine replicas are asked all at once; no Ray runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")

from ray.exceptions import ActorDiedError

from literesearcher.cluster import engine_app
from literesearcher.cluster.admission.engine_admission import EngineAdmission
from literesearcher.cluster.engine_app import EngineReplica
from literesearcher.cluster.orchestrator_app import OpenedOrchestrator, OrchestratorReplica
from literesearcher.cluster.serve_engine import ServeEngine
from literesearcher.cluster.surroundings import Surroundings
from literesearcher.cluster.tools_app import OpenedTools, ToolsReplica
from literesearcher.engine.load import EngineLoad
from literesearcher.engine.port import GenerationRequest
from literesearcher.errors import BoundaryError
from literesearcher.jobs.model import Backlog
from literesearcher.research.messages import Message, Sampling
from literesearcher.testing.scripted_tools import ScriptedTools, ToolStep
from literesearcher.testing.timed_engine import TimedEngine, Timing
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.port import ToolRequest

SEARCH = ToolRequest("search", {"query": ["q"]})


class Proxy(ToolsReplica):
    """Stopped by the test, as Serve does, and not by the collector of garbage."""

    stop = ToolsReplica.__del__

    def __del__(self) -> None: ...


class Orchestrating(OrchestratorReplica):
    """As `Proxy`."""

    stop = OrchestratorReplica.__del__

    def __del__(self) -> None: ...


async def test_a_tool_proxy_records_the_calls_that_are_under_way_and_what_providers_leave() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()
    away = BoundaryError("it is away", code="tools_error")
    tools = ScriptedTools([ToolStep("search", "found", gate=gate, entered=entered), ToolStep("search", away)])

    @asynccontextmanager
    async def opening() -> AsyncIterator[OpenedTools]:
        yield OpenedTools(tools, headroom=lambda: 0.25)
        await tools.aclose()

    replica: Any = object.__new__(Proxy)
    await replica.__init__(opening)
    assert await replica.record_autoscaling_stats() == {"in_flight": 0.0, "headroom": 0.25}
    call = asyncio.create_task(replica.call(SEARCH))
    await entered.wait()
    assert await replica.record_autoscaling_stats() == {"in_flight": 1.0, "headroom": 0.25}
    assert await replica.call(SEARCH) is away
    gate.set()
    assert (await call).text == "found"
    assert await replica.record_autoscaling_stats() == {"in_flight": 0.0, "headroom": 0.25}
    await replica.stop()
    assert tools.closed


class Worker:
    """Runs until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()


async def an_orchestrator(backlog: Any) -> Any:
    async def exchange(queued: int | None, live: int | None) -> dict[str, EngineLoad | None]:
        return {}

    @asynccontextmanager
    async def opening() -> AsyncIterator[OpenedOrchestrator]:
        worker: Any = Worker()
        surroundings = Surroundings(backlog=backlog, exchange=exchange, clock=SystemClock())
        admission = EngineAdmission(surroundings.loads, most=64, clock=SystemClock())
        yield OpenedOrchestrator(worker, surroundings, admission)

    replica: Any = object.__new__(Orchestrating)
    await replica.__init__(opening)
    return replica


async def test_an_orchestrator_records_what_the_store_counts_for_as_long_as_it_lives() -> None:
    counted = asyncio.Event()

    async def backlog() -> Backlog:
        counted.set()
        return Backlog(5, 3, 0.0)

    replica = await an_orchestrator(backlog)
    assert not {"queued", "live"} & set(await replica.record_autoscaling_stats())
    async with asyncio.timeout(60):
        await counted.wait()
        while "queued" not in await replica.record_autoscaling_stats():
            await asyncio.sleep(0.01)
    assert await replica.record_autoscaling_stats() == {"queued": 5.0, "live": 3.0, "allowed": 4.0}
    await replica.check_health()
    await replica.stop()


async def test_an_orchestrator_that_sees_nothing_any_more_is_not_healthy() -> None:
    async def backlog() -> Backlog:
        raise RuntimeError("a fault of the program")

    replica = await an_orchestrator(backlog)

    async def until_it_is_not() -> None:
        async with asyncio.timeout(60):
            while True:
                await replica.check_health()
                await asyncio.sleep(0.01)

    with pytest.raises(RuntimeError, match="a fault of the program"):
        await until_it_is_not()
    await replica.stop()


class Engining(EngineReplica):
    """As `Proxy`."""

    stop = EngineReplica.__del__

    def __del__(self) -> None: ...


async def test_an_engine_replica_records_its_load_its_first_texts_and_what_it_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_app, "_own_place", lambda: engine_app.Place("here", "node"))
    replica: Any = object.__new__(Engining)
    await replica.__init__(lambda: TimedEngine(Timing(kv_tokens=1_000, prefill_per_second=1e6, decode_per_second=1e5)))
    request = GenerationRequest("job", (Message("user", "x" * 400),), Sampling(), 100, turn=1)
    assert await replica.generate(request, 60.0)
    record = await replica.record_autoscaling_stats()
    assert record["kv_used"] > 100
    assert not {"ttft_seconds", "queued", "live"} & set(record), "nobody listened, and nobody told"
    assert [piece async for piece in replica.stream(request, 60.0)]
    name, load = await replica.exchange(4, 2)
    assert (name, load.kv_capacity) == ("here", 1_000)
    record = await replica.record_autoscaling_stats()
    assert record["ttft_seconds"] >= 0
    assert (record["queued"], record["live"]) == (4.0, 2.0)
    await replica.stop()


class Told:
    """A handle whose broadcast gives these answers, or raises."""

    def __init__(self, answers: Any) -> None:
        self._answers = answers
        self.asked: list[tuple[Any, ...]] = []

    def broadcast(self, *asked: Any) -> Any:
        self.asked.append(asked)

        async def results_async(**options: Any) -> Any:
            if isinstance(self._answers, Exception):
                raise self._answers
            return self._answers

        return SimpleNamespace(results_async=results_async)


async def test_replicas_that_do_not_answer_are_left_out() -> None:
    load = EngineLoad(1_000)
    handle: Any = Told([("a", load), ActorDiedError(), ("b", None)])
    assert await ServeEngine(handle).exchange(3, None) == {"a": load, "b": None}
    assert handle.asked == [("exchange", 3, None)]


@pytest.mark.parametrize(
    ("raised", "code"), [(TimeoutError(), "engine_timeout"), (ActorDiedError(), "engine_unreachable")]
)
async def test_an_engine_that_cannot_be_asked_is_a_boundary_error(raised: Exception, code: str) -> None:
    handle: Any = Told(raised)
    with pytest.raises(BoundaryError) as caught:
        await ServeEngine(handle).exchange(1, 1)
    assert caught.value.code == code
