"""What a small pool does to conversations: kept while they wait, let go at their end, queued, too long, given up."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from cpu_kit import lesson
from cpu_kit.scripted import ScriptedSglang
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Message, Sampling

POOL, CONTEXT = 8192, 4096
TIGHT = 2048
"""A pool that holds one conversation of its context."""
_numbers = itertools.count()
STEADY = Sampling(temperature=0.0, stop=())


@pytest.fixture
async def small(start, random_model: Path) -> ScriptedSglang:
    return await start(random_model, context_length=CONTEXT, kv_tokens=POOL, max_running=8)


def prompt(words: int) -> tuple[Message, ...]:
    """About three tokens a word, like no other conversation's."""
    name = next(_numbers)
    text = " ".join(f"w{name}x{number % 10}" for number in range(words))
    return (Message("system", text), Message("user", "Go on."))


async def turn(
    engine: ScriptedSglang, program: str, messages: tuple[Message, ...], tokens: int = 4, **how: Any
) -> Generation:
    request = GenerationRequest(program, messages, STEADY, tokens, **how)
    return await engine.generate(request, timeout_seconds=240)


async def held(engine: ScriptedSglang, wanted: int) -> None:
    """Until the load says that so much is held; SGLang's snapshot is a moment old."""
    async with asyncio.timeout(60):
        while (await engine.load()).kv_used != wanted:
            await asyncio.sleep(0.05)


async def flood(engine: ScriptedSglang, rounds: int = 8) -> None:
    """Conversations of nobody that together are more than the pool."""
    for _ in range(rounds):
        await turn(engine, "", prompt(300))


async def test_a_waiting_conversation_is_kept_through_a_flood_and_let_go_at_its_end(small: ScriptedSglang):
    messages = prompt(300)
    first = await turn(small, "job-waiting", messages)
    size = first.usage.prompt_tokens + first.usage.completion_tokens
    await held(small, size)
    await flood(small)
    again = await turn(small, "job-waiting", messages)
    assert again.usage.cached_tokens == first.usage.prompt_tokens - 1
    await small.release("job-waiting")
    await held(small, 0)
    await flood(small)
    gone = await turn(small, "job-other", messages)
    assert gone.usage.cached_tokens is not None
    assert gone.usage.cached_tokens < 100
    await small.release("job-other")


async def test_without_a_session_a_flood_takes_it(small: ScriptedSglang):
    messages = prompt(300)
    await turn(small, "job-read", messages, purpose="extract")
    await flood(small)
    again = await turn(small, "job-read", messages, purpose="extract")
    assert again.usage.cached_tokens is not None
    assert again.usage.cached_tokens < 100


async def test_releasing_what_is_unknown_is_no_error(small: ScriptedSglang):
    await small.release("job-that-never-was")
    await small.check()


async def test_a_prompt_too_long_is_told_as_such_and_the_longest_that_fits_is_answered(small: ScriptedSglang):
    messages = prompt(400)
    size = (await turn(small, "", messages, 1)).usage.prompt_tokens
    with pytest.raises(PromptTooLong):
        await turn(small, "", messages, CONTEXT - size + 1)
    assert (await turn(small, "", messages, 1)).finish_reason == "length"
    with pytest.raises(PromptTooLong):
        await turn(small, "", prompt(2000), 1)
    await small.check()


async def test_giving_a_call_up_ends_it_in_sglang_and_no_other(small: ScriptedSglang):
    going = [asyncio.create_task(turn(small, f"job-{number}", prompt(20), 900)) for number in range(2)]
    async with asyncio.timeout(60):
        while (await small.load()).running < 2:
            await asyncio.sleep(0.02)
    going[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await going[0]
    async with asyncio.timeout(60):
        while (await small.load()).running > 1:
            assert not going[1].done()
            await asyncio.sleep(0.02)
    assert (await going[1]).usage.completion_tokens == 900
    for number in range(2):
        await small.release(f"job-{number}")


async def test_a_call_past_its_time_is_told_so_and_ends_in_sglang(small: ScriptedSglang):
    request = GenerationRequest("", prompt(20), STEADY, 3000)
    with pytest.raises(BoundaryError) as caught:
        await small.generate(request, timeout_seconds=0.5)
    assert (caught.value.code, caught.value.transient) == ("engine_timeout", True)
    async with asyncio.timeout(60):
        while (await small.load()).running:
            await asyncio.sleep(0.02)


async def test_a_listener_that_leaves_ends_the_stream_in_sglang(small: ScriptedSglang):
    heard = asyncio.Event()

    async def hear(piece: str) -> None:
        heard.set()

    request = GenerationRequest("", prompt(20), STEADY, 3000)
    task = asyncio.create_task(small.generate(request, timeout_seconds=240, on_delta=hear))
    await asyncio.wait_for(heard.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(60):
        while (await small.load()).running:
            await asyncio.sleep(0.02)


async def test_a_turn_overtakes_the_reading_of_pages_in_the_queue(start, random_model: Path):
    engine = await start(random_model, context_length=CONTEXT, kv_tokens=POOL, max_running=1)
    ended: list[str] = []

    async def run(purpose: str, tokens: int) -> None:
        await turn(engine, "", prompt(20), tokens, purpose=purpose)
        ended.append(purpose)

    first = asyncio.create_task(run("extract", 250))
    async with asyncio.timeout(60):
        while not (await engine.load()).running:
            await asyncio.sleep(0.02)
    reading = [asyncio.create_task(run("extract", 30)) for _ in range(3)]
    async with asyncio.timeout(60):
        while (await engine.load()).waiting < 3:
            await asyncio.sleep(0.02)
    last = asyncio.create_task(run("turn", 5))
    await asyncio.gather(first, *reading, last)
    assert ended.index("turn") == 1


async def test_eight_jobs_that_are_more_than_the_pool_all_end_and_say_what_each_says_alone(
    start, taught_model: Path, tmp_path: Path
):
    lessons = await asyncio.to_thread(lesson.recorded, tmp_path)
    engine = await start(taught_model, context_length=TIGHT, kv_tokens=TIGHT, max_running=8)
    jobs = {f"job-{seed}": lesson.varied(lessons, seed)[:6] for seed in range(1, 9)}
    alone = {}
    for name, messages in jobs.items():
        alone[name] = (await turn(engine, name, messages, 120)).token_ids
        await engine.release(name)
    prompts = [engine.model.history.prompt(messages) for messages in jobs.values()]
    shared = next(at for at, tokens in enumerate(zip(*prompts, strict=False)) if len(set(tokens)) > 1)
    assert shared + sum(len(ids) - shared for ids in prompts) > TIGHT
    together = asyncio.gather(*(turn(engine, name, messages, 120) for name, messages in jobs.items()))
    queued = 0
    while not together.done():
        queued = max(queued, (await engine.load()).waiting)
        await asyncio.sleep(0.01)
    answers = await together
    assert queued > 0
    assert {name: one.token_ids for name, one in zip(jobs, answers, strict=True)} == alone
    assert [one.text for one in answers] == [lesson.TURNS[2]] * 8
    for name in jobs:
        await engine.release(name)
    await held(engine, 0)
