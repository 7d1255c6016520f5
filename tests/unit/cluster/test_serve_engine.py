"""The engine over a handle, without Ray Serve: where a refused or lost call goes. The handle answers from a list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")

from ray.exceptions import ActorUnavailableError

from literesearcher.cluster.routing.hint import RouteHint, Taken
from literesearcher.cluster.serve_engine import AVOID_SECONDS, NEWS_SECONDS, REFUSALS, ServeEngine
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.errors import BoundaryError, CallLost, ReplicaLeaving
from literesearcher.research.messages import Message, Sampling, Usage
from literesearcher.testing.manual_clock import ManualClock

REQUEST = GenerationRequest("job_1", (Message("user", "a question"),), Sampling(), 100)
SAID = Generation("text", "stop", Usage(1, 1), "m", replica="free")
LEAVING = ReplicaLeaving("the replica is being drained")


class Response:
    """One call's."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __await__(self) -> Iterator[Any]:
        return self._answered().__await__()

    async def _answered(self) -> Any:
        if isinstance(self._answer, ActorUnavailableError):
            raise self._answer
        return self._answer

    async def __aiter__(self) -> Any:
        yield await self._answered()

    def cancel(self) -> None:
        pass


class Handle:
    """Sends each call to `busy`, or to `free` where `busy` is to be avoided."""

    def __init__(self, *answers: Any, alone: bool = False) -> None:
        """`alone`: there is no other, which the router says of a call that is to avoid it."""
        self._answers = list(answers)
        self._alone = alone
        self.avoided: list[frozenset[str]] = []
        self.generate = self.stream = self

    def options(self, **_: Any) -> Handle:
        return self

    def remote(self, request: GenerationRequest, seconds: float, *, route: RouteHint) -> Response:
        self.avoided.append(route.avoid)
        route.insist = self._alone and bool(route.avoid)
        route.taken = Taken("free" if "busy" in route.avoid and not self._alone else "busy", "home", "busy")
        return Response(self._answers.pop(0))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.mark.parametrize("heard", [False, True], ids=["whole", "streamed"])
async def test_a_refused_turn_goes_elsewhere_at_once_and_so_do_the_next_for_a_while(clock, heard):
    handle = Handle(LEAVING, SAID, SAID, SAID)
    moved: list[str] = []
    engine = ServeEngine(handle, clock=clock, on_moved=moved.append)

    async def hear(piece: str) -> None:
        raise AssertionError("a refused turn says nothing")

    said = await engine.generate(REQUEST, timeout_seconds=60, on_delta=hear if heard else None)
    assert said.text == "text"
    await engine.generate(REQUEST, timeout_seconds=60)
    await clock.advance(AVOID_SECONDS)
    await engine.generate(REQUEST, timeout_seconds=60)
    nowhere: frozenset[str] = frozenset()
    assert handle.avoided == [nowhere, {"busy"}, {"busy"}, nowhere]
    assert moved == ["refused"]


async def test_jobs_whose_prefix_lies_on_a_replica_that_refuses_new_ones_are_still_sent_there(clock):
    handle = Handle(LEAVING, SAID, SAID)
    engine = ServeEngine(handle, clock=clock)
    await engine.generate(REQUEST, timeout_seconds=60)
    await engine.generate(replace(REQUEST, last_replica="busy"), timeout_seconds=60)
    assert handle.avoided[-1] == frozenset()


async def test_a_turn_that_everyone_refuses_is_a_failed_try(clock):
    handle = Handle(*[LEAVING] * 9)
    with pytest.raises(BoundaryError) as caught:
        await ServeEngine(handle, clock=clock).generate(REQUEST, timeout_seconds=60)
    assert (caught.value.code, caught.value.transient) == ("engine_unreachable", True)
    assert not isinstance(caught.value, ReplicaLeaving | CallLost)
    assert len(handle.avoided) == REFUSALS


async def test_where_the_only_known_replica_stops_a_turn_waits_for_word_of_the_next(clock):
    handle = Handle(LEAVING, LEAVING, SAID, alone=True)
    call = asyncio.create_task(ServeEngine(handle, clock=clock).generate(REQUEST, timeout_seconds=60))
    await clock.advance(NEWS_SECONDS / 2)
    assert len(handle.avoided) == 2, "at once where another might be known, then not before there can be news"
    await clock.advance(NEWS_SECONDS)
    assert (await call).text == "text"


async def test_a_lost_call_is_made_no_second_time_here_and_the_next_try_goes_elsewhere(clock):
    handle = Handle(ActorUnavailableError("gone", None), SAID)
    moved: list[str] = []
    engine = ServeEngine(handle, clock=clock, on_moved=moved.append)
    with pytest.raises(CallLost):
        await engine.generate(REQUEST, timeout_seconds=60)
    assert len(handle.avoided) == 1
    await engine.generate(REQUEST, timeout_seconds=60)
    assert handle.avoided[1] == {"busy"}
    assert moved == ["lost"]
