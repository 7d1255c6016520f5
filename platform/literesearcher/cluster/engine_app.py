"""The application `engine`: one runtime a replica, whatever engine the settings mean.

Owns: how a turn travels (whole where nobody listens, else in few pieces, since each piece costs a millisecond of both
processes), errors as values, what the replica tells the router, its health, what its stop means for turns.
Refuses to know: Ray Serve's configuration, which engine it is, jobs. Caller: `cluster.serve_engine`. Serve itself
tells callers that a replica stops, and waits for its turns; a replica refuses those of callers who have not heard it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import Response

from literesearcher.cluster.engine_figures import ray_figures
from literesearcher.cluster.engine_http import EngineHttp
from literesearcher.cluster.engine_signals import EngineSignals
from literesearcher.cluster.routing.hint import RouteHint
from literesearcher.cluster.routing.stats import Reporter, metadata
from literesearcher.engine.load import EngineLoad
from literesearcher.engine.port import DeltaSink, Engine, EngineInfo, Generation, GenerationRequest
from literesearcher.errors import BoundaryError, LiteResearcherError, ReplicaLeaving
from literesearcher.timing.clock import SystemClock

PIECE_SECONDS = 0.25
"""Text of so long goes as one piece. A piece costs about 1.1 ms of CPU on each side."""
LEAVING_SHARE = 0.25
"""Of the jobs kept on a replica whose node is drained, at each one's next turn: the others' pools are not flooded."""

Outcome = Generation | LiteResearcherError
"""An error is a value on the way: raised, Ray would wrap it, and print a traceback that is none of its own."""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a replica is: its id, and its node's in hex."""

    replica: str
    node: str


@runtime_checkable
class _Loaded(Protocol):
    """`engine.load.Loaded`, as it can be seen of an object."""

    async def load(self) -> EngineLoad: ...
    async def release(self, program: str) -> None: ...
    async def check(self) -> None: ...


@runtime_checkable
class _Started(Protocol):
    """An engine that has to be started."""

    async def start(self) -> None: ...


class EngineReplica:
    """One replica. `make` gives the engine; it runs in the replica's own process."""

    async def __init__(self, make: Callable[[], Engine], face: Callable[[Engine], EngineHttp] | None = None) -> None:  # type: ignore[misc]  # Serve awaits it.
        """Ready when the engine is: a runtime that takes its time to load a model does so here. `face` gives its
        HTTP face; without it there is none."""
        self._place = _own_place()
        self._engine = make()
        if isinstance(self._engine, _Started):
            await self._engine.start()
        self._loaded = self._engine if isinstance(self._engine, _Loaded) else None
        self._reporter = Reporter()
        self._figures = ray_figures(self._engine, SystemClock())
        self._signals = EngineSignals(SystemClock())
        self._generated = False
        self._http = face(self._engine) if face is not None else None

    async def __call__(self, request: Request) -> Response:
        """HTTP, for requests to the raw model."""
        return await self._http.answer(request) if self._http is not None else Response(status_code=404)

    async def describe(self) -> EngineInfo | LiteResearcherError:
        """What the engine says of itself."""
        try:
            return await self._engine.describe()
        except LiteResearcherError as error:
            return error

    async def generate(
        self, request: GenerationRequest, timeout_seconds: float, route: RouteHint | None = None
    ) -> Outcome:
        """One generation, whole. `route` was the router's."""
        if (refusal := self._refusal(request, route)) is not None:
            return refusal
        return await self._outcome(request, timeout_seconds, None)

    async def stream(
        self, request: GenerationRequest, timeout_seconds: float, route: RouteHint | None = None
    ) -> AsyncIterator[str | Outcome]:
        """Pieces of text, then the outcome. Cancelling it closes the generation."""
        if (refusal := self._refusal(request, route)) is not None:
            yield refusal
            return
        pieces: list[str] = []
        some = asyncio.Event()
        call = self._signals.begun()

        async def sink(text: str) -> None:
            self._signals.came(call)
            pieces.append(text)
            some.set()

        work = asyncio.create_task(self._outcome(request, timeout_seconds, sink))
        work.add_done_callback(lambda _: some.set())
        try:
            while not work.done():
                await some.wait()
                if pieces:
                    text = "".join(pieces)
                    pieces.clear()
                    yield text
                some.clear()
                await asyncio.wait([work], timeout=PIECE_SECONDS)
                if pieces:
                    some.set()
            if pieces:
                yield "".join(pieces)
            yield work.result()
        finally:
            self._signals.ended(call)
            work.cancel()
            await asyncio.wait([work])

    async def release(self, program: str) -> None:
        """What is kept for the conversation may go."""
        if self._loaded is not None:
            await self._loaded.release(program)

    async def load(self) -> EngineLoad | None:
        """The load now, None of an engine that holds no conversations."""
        return await self._loaded.load() if self._loaded is not None else None

    async def exchange(self, queued: int | None, live: int | None) -> tuple[str, EngineLoad | None]:
        """An orchestrator tells what the job store counts, None where it does not know, and hears this replica's id
        and load, None where there is no pool."""
        self._signals.told(queued, live)
        return self._place.replica, await self.load()

    async def leave(self, node: str) -> None:
        """Where this replica is on that node: take no new jobs, and let those kept here go a few at a time."""
        if node == self._place.node:
            self._reporter.leaving = LEAVING_SHARE

    def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """The deployment's `user_config`: `routing` holds the router's parameters. ConfigurationError names what is
        wrong with them."""
        if "routing" in user_config:
            self._reporter.configure(user_config["routing"])

    async def record_replica_metadata(self) -> dict[str, Any]:
        """What routers read once: the size of the pool."""
        load = await self.load()
        return metadata(load.kv_capacity) if load is not None else {}

    async def record_routing_stats(self) -> dict[str, Any]:
        """What routers in all callers read every second or two; the runtime's metrics are shown in passing."""
        if self._figures is not None:
            await self._figures.look()
        return self._reporter.report(await self.load())

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What the scaling policy reads in the controller, empty without a pool."""
        load = await self.load()
        return self._signals.record(load) if load is not None else {}

    async def check_health(self) -> None:
        """A real generation of one token, unless one has ended since the last check; raises where none comes."""
        generated, self._generated = self._generated, False
        if self._loaded is not None and not generated:
            await self._loaded.check()

    async def __del__(self) -> None:
        """Serve has waited for the turns; what runs in the replica ends with it."""
        if self._http is not None:
            await self._http.aclose()
        await self._engine.aclose()

    def _refusal(self, request: GenerationRequest, route: RouteHint | None) -> ReplicaLeaving | None:
        """For a caller that has not heard yet that this replica stops, or takes no new jobs. One that is only to be
        left serves whoever has no other to go to; one that stops serves nobody: another is on its way."""
        new = self._reporter.leaving > 0 and request.last_replica != self._place.replica
        if not stopping() and (not new or (route is not None and route.insist)):
            return None
        return ReplicaLeaving("the replica is to stop")

    async def _outcome(self, request: GenerationRequest, timeout_seconds: float, sink: DeltaSink | None) -> Outcome:
        try:
            generation = await self._engine.generate(request, timeout_seconds=timeout_seconds, on_delta=sink)
        except LiteResearcherError as error:
            return error
        except TimeoutError:
            return BoundaryError("the model took too long", code="engine_timeout", transient=True)
        self._generated = True
        return dataclasses.replace(generation, replica=self._place.replica)


def _own_place() -> Place:
    import ray
    from ray import serve

    return Place(serve.get_replica_context().replica_id.unique_id, ray.get_runtime_context().get_node_id())


def stopping() -> bool:
    """Has Serve told this replica to stop? It tells the replica's actor, and user code only when all calls are done:
    until then it would serve late ones too, and has no hook. So Ray's own mark is read, which is why Ray is pinned."""
    from ray._private.worker import global_worker

    actors: list[Any] = list(global_worker.actors.values())
    return any(actor._replica_impl._shutting_down for actor in actors)
