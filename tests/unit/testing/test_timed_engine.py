"""The timed engine: its seconds, its prefix cache, its queue, its pool, exact on a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Message, Sampling
from literesearcher.research.parsing import parse_turn
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.testing.timed_engine import TimedEngine, Timing

TIMING = Timing(kv_tokens=3_000, prefill_per_second=100.0, decode_per_second=10.0, half_speed_at=4, chunk=5)


def ask(program: str = "a", tokens: int = 96, **changes: object) -> GenerationRequest:
    """A prompt of `tokens` + 4 tokens."""
    fields: dict[str, object] = {"sampling": Sampling(), "max_tokens": 1000, "turn": 1, **changes}
    return GenerationRequest(program, (Message("user", "x" * 4 * tokens),), **fields)  # type: ignore[arg-type]


def then(request: GenerationRequest, said: Generation, tokens: int = 16) -> GenerationRequest:
    """The next turn of the job."""
    more = (Message("assistant", said.text), Message("user", "y" * 4 * tokens))
    return replace(request, messages=(*request.messages, *more), turn=request.turn + 1)


class Bench:
    """An engine that says 40 tokens each time, and the clock that moves it."""

    def __init__(self, text: str = "w" * 160, timing: Timing = TIMING) -> None:
        self.clock = ManualClock()
        self.engine = TimedEngine(timing, script=lambda _: text, clock=self.clock)
        self.ended: dict[str, float] = {}

    def start(self, request: GenerationRequest) -> asyncio.Task[Generation]:
        """Ask; the instant of the end is noted by program."""

        async def run() -> Generation:
            said = await self.engine.generate(request, timeout_seconds=3600)
            self.ended[request.program] = round(self.clock.monotonic(), 6)
            return said

        return asyncio.create_task(run())

    async def finish(self, *tasks: asyncio.Task[Generation]) -> list[Generation]:
        """Let an hour pass."""
        await self.clock.advance(3600)
        return [await task for task in tasks]


async def test_a_turn_costs_its_uncached_prompt_and_its_tokens() -> None:
    bench = Bench()
    (first,) = await bench.finish(bench.start(ask()))
    assert bench.ended["a"] == 1.0 + 4.0
    assert (first.usage.prompt_tokens, first.usage.completion_tokens, first.usage.cached_tokens) == (100, 40, 0)
    began = bench.clock.monotonic()
    (second,) = await bench.finish(bench.start(then(ask(), first)))
    # What was sent and generated is there; the frame of the generated turn and the new message are prefilled.
    assert second.usage.cached_tokens == 140
    assert bench.ended["a"] - began == pytest.approx((second.usage.prompt_tokens - 140) / 100 + 4.0)


async def test_prompts_wait_for_each_other_by_priority_and_decode_together() -> None:
    bench = Bench()
    tasks = [bench.start(ask(name, priority=number)) for number, name in enumerate("abc")]
    await bench.clock.advance(0.5)
    load = await bench.engine.load()
    assert (load.running, load.waiting, load.queued_prefill, load.kv_used) == (1, 2, 300, 140)
    await bench.finish(*tasks)
    assert sorted(bench.ended, key=bench.ended.__getitem__) == ["a", "c", "b"]
    # Alone it would take 5 s.
    assert bench.ended["a"] > 5.0
    assert (await bench.engine.load()).kv_used == 3 * 140


async def test_the_pool_evicts_waiting_conversations_and_never_running_ones() -> None:
    bench = Bench()
    (first, *_) = await bench.finish(bench.start(ask("a", 996)), bench.start(ask("b", 996)))
    big = bench.start(ask("c", 1796))
    await bench.clock.advance(20)
    assert bench.engine.pool.evicted == 1
    (again,) = await bench.finish(bench.start(then(ask("a", 996), first)))
    assert again.usage.cached_tokens == 0
    await big
    together = [bench.start(ask(name, 1796)) for name in "de"]
    await bench.clock.advance(19)
    load = await bench.engine.load()
    assert (load.running, load.waiting) == (1, 1)
    await bench.finish(*together)


async def test_released_and_cancelled_conversations_give_their_room_back() -> None:
    bench = Bench()
    await bench.finish(bench.start(ask("a")))
    await bench.engine.release("a")
    await bench.engine.release("never seen")
    assert bench.engine.pool.used == 0
    running, waiting, queued = bench.start(ask("b")), bench.start(ask("c")), bench.start(ask("d"))
    await bench.clock.advance(0.5)
    for task in (queued, waiting, running):
        task.cancel()
    await asyncio.gather(running, waiting, queued, return_exceptions=True)
    load = await bench.engine.load()
    assert (load.kv_used, load.running, load.waiting, load.queued_prefill) == (0, 0, 0, 0)
    (said,) = await bench.finish(bench.start(ask("e")))
    assert said.usage.completion_tokens == 40


async def test_cancelling_in_the_same_breath_as_admission_leaks_nothing() -> None:
    bench = Bench()
    task = bench.start(ask("a"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await bench.engine.load()).running == 0
    assert bench.engine.pool.running == 0
    assert len(await bench.finish(bench.start(ask("b")))) == 1


async def test_what_cannot_fit_is_refused_and_a_stalled_engine_is_ill() -> None:
    bench = Bench()
    with pytest.raises(PromptTooLong):
        await bench.engine.generate(ask(tokens=3_000), timeout_seconds=10)
    bench.engine.stall()
    with pytest.raises(BoundaryError) as caught:
        await bench.engine.check()
    assert caught.value.code == "engine_timeout"
    task = bench.start(ask())
    await bench.clock.advance(100)
    assert not task.done()
    bench.engine.go_on()
    await bench.engine.check()
    await bench.finish(task)


async def test_stop_strings_limits_and_ids_are_kept() -> None:
    bench = Bench("say\n<tool_response> no")
    request = ask(sampling=Sampling(logprobs=True))
    (said,) = await bench.finish(bench.start(request))
    assert (said.text, said.matched_stop, said.finish_reason) == ("say", "\n<tool_response>", "stop")
    assert said.logprobs is not None
    assert said.token_ids is not None
    assert len(said.token_ids) == len(said.logprobs) == said.usage.completion_tokens == 1
    bench = Bench()
    (cut,) = await bench.finish(bench.start(ask(max_tokens=3)))
    assert (cut.text, cut.finish_reason) == ("w" * 12, "length")


async def test_the_script_is_a_whole_job_and_the_seed_decides_its_words() -> None:
    texts: dict[int | None, list[str]] = {}
    for seed in (None, 1, 1, 2):
        bench = Bench()
        bench.engine = TimedEngine(Timing(), clock=bench.clock)
        request = ask(sampling=Sampling(seed=seed))
        job: list[str] = []
        while not job or parse_turn(job[-1]).answer is None:
            (said,) = await bench.finish(bench.start(request))
            job.append(said.text)
            request = then(request, said)
        assert texts.setdefault(seed, job) == job
        assert [parse_turn(text).call is not None for text in job] == [True, True, False]
    assert texts[1] != texts[2]
