"""The policy over whole jobs: timed engines, reports a second old, callers sharing nothing, a clock moved by hand."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from literesearcher.cluster.routing.hint import hint_of
from literesearcher.cluster.routing.policy import Parameters, Replica, Turn, route
from literesearcher.cluster.routing.stats import Reporter, metadata
from literesearcher.cluster.routing.view import ReplicasView
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.research.messages import Message, Sampling
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.testing.timed_engine import TimedEngine, Timing

TIMING = Timing(kv_tokens=250_000, prefill_per_second=8_000, decode_per_second=100, chunk=1_000)
REPLICAS, CALLERS, TURNS, TOOL_TOKENS = 4, 3, 12, 1_500
Chooser = Callable[[Turn, list[Replica], Parameters], str]


def ours(turn: Turn, replicas: list[Replica], parameters: Parameters) -> str:
    """The policy."""
    return route(turn, replicas, parameters).replica


def round_robin() -> Chooser:
    """What most balancers do."""
    counter = itertools.count()
    return lambda turn, replicas, parameters: replicas[next(counter) % len(replicas)].id


@dataclass
class Simulation:
    """Jobs, and what came of them."""

    choose: Chooser
    clock: ManualClock = field(default_factory=ManualClock)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    went: dict[str, list[str]] = field(default_factory=dict)
    ended_at: float = 0.0
    served: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.engines = {f"r{number}": TimedEngine(TIMING, clock=self.clock) for number in range(REPLICAS)}
        self.views = [ReplicasView(self.clock) for _ in range(CALLERS)]

    async def run(self, jobs: int) -> Simulation:
        """All jobs to their end, started half a second apart."""
        reports = asyncio.create_task(self._report())
        work = [asyncio.create_task(self._job(number)) for number in range(jobs)]
        while not all(task.done() for task in work):
            await self.clock.advance(5)
        reports.cancel()
        await asyncio.gather(reports, return_exceptions=True)
        for task in work:
            task.result()
        return self

    @property
    def moves(self) -> list[int]:
        """How often each job's next turn went elsewhere."""
        return [sum(one != other for one, other in itertools.pairwise(path)) for path in self.went.values()]

    @property
    def cached_share(self) -> float:
        """Of all prompt tokens."""
        return self.cached_tokens / self.prompt_tokens

    async def _report(self) -> None:
        reporters = {name: Reporter() for name in self.engines}
        while True:
            said = {name: reporters[name].report(await engine.load()) for name, engine in self.engines.items()}
            await self.clock.sleep(1)
            for view in self.views:
                view.heard((name, metadata(TIMING.kv_tokens), stats) for name, stats in said.items())

    async def _job(self, number: int) -> None:
        await self.clock.sleep(2 + number / 2)
        program = f"job_{number}"
        view = self.views[number % CALLERS]
        request = GenerationRequest(program, (Message("user", "q" * 8_000),), Sampling(seed=number), 2_000, turn=1)
        for turn in range(TURNS):
            said = await self._turn(request, view, call=f"{program} {turn}")
            seen = said.usage.prompt_tokens + said.usage.completion_tokens
            request = replace(
                request,
                messages=(*request.messages, Message("assistant", said.text), Message("user", "t" * 4 * TOOL_TOKENS)),
                turn=turn + 2,
                prompt_tokens=seen + TOOL_TOKENS,
                last_replica=said.replica,
                kept_tokens=seen,
            )
            await self.clock.sleep(1 + number % 5)
        for engine in self.engines.values():
            await engine.release(program)
        self.ended_at = self.clock.monotonic()

    async def _turn(self, request: GenerationRequest, view: ReplicasView, call: str) -> Generation:
        hint = hint_of(request)
        turn = Turn(request.program, hint.prompt, 100, hint.last, hint.kept)
        name = self.choose(turn, view.replicas(self.engines), view.parameters())
        added = hint.prompt - (hint.kept if name == hint.last else 0)
        view.sent(name, call, prefill=added, kv=added + 100)
        said = await self.engines[name].generate(request, timeout_seconds=3600)
        view.ended(name, call)
        self.prompt_tokens += said.usage.prompt_tokens
        self.cached_tokens += said.usage.cached_tokens or 0
        self.went.setdefault(request.program, []).append(name)
        self.served[name] += 1
        return replace(said, replica=name)


def never_moving(turn: Turn, replicas: list[Replica], parameters: Parameters) -> str:
    """The home alone."""
    return route(turn, replicas, replace(parameters, margin_seconds=1e9)).replica


async def test_jobs_that_fit_keep_their_prefix_and_hardly_move() -> None:
    routed = await Simulation(ours).run(40)
    dealt = await Simulation(round_robin()).run(40)
    assert routed.cached_share > 0.8 > 0.5 > dealt.cached_share
    assert routed.ended_at < 0.9 * dealt.ended_at
    assert sum(routed.moves) <= 4
    assert set(routed.served) == set(routed.engines)


async def test_jobs_that_do_not_fit_end_sooner_than_by_homes_alone_or_by_turns() -> None:
    routed = await Simulation(ours).run(80)
    homed = await Simulation(never_moving).run(80)
    dealt = await Simulation(round_robin()).run(80)
    assert routed.cached_share > homed.cached_share > dealt.cached_share
    assert routed.ended_at < 0.7 * homed.ended_at
    assert homed.ended_at < dealt.ended_at
    # As pools fill some move, once or a few times in twelve turns; nobody goes back and forth.
    assert sum(routed.moves) / len(routed.moves) < 1.5
    assert max(routed.moves) <= 6


async def test_the_same_jobs_go_the_same_ways_again() -> None:
    first, second = [await Simulation(ours).run(12) for _ in range(2)]
    assert first.went == second.went
    assert (first.ended_at, first.cached_tokens) == (second.ended_at, second.cached_tokens)
