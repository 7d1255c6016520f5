"""Every sampling field reaches the sampler, each shown by its effect on a model that says anything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from cpu_kit.scripted import ScriptedSglang
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Message, Sampling

PLAIN: dict[str, Any] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "repetition_penalty": 1.0,
    "stop": (),
}
ASKED = (Message("system", "You are a model."), Message("user", "Say something."))


@pytest.fixture
async def engine(start, random_model: Path) -> ScriptedSglang:
    return await start(random_model, context_length=4096, kv_tokens=16_384, max_running=16)


async def said(engine: ScriptedSglang, tokens: int = 24, **fields: Any) -> Generation:
    request = GenerationRequest("", ASKED, Sampling(**{**PLAIN, **fields}), tokens)
    return await engine.generate(request, timeout_seconds=120)


def ids(generation: Generation) -> tuple[int, ...]:
    assert generation.token_ids is not None
    return generation.token_ids


async def first_ids(engine: ScriptedSglang, count: int = 40, **fields: Any) -> set[int]:
    """Which ids come first, of so many tries. Logprobs name the id where it is no whole character."""
    return {ids(await said(engine, 1, **fields))[0] for _ in range(count)}


async def test_temperature(engine: ScriptedSglang):
    assert len(await first_ids(engine, 6, temperature=0.0)) == 1
    assert len(await first_ids(engine, 6, temperature=2.0)) > 1
    hot = await said(engine, temperature=1.0, top_k=50, logprobs=True)
    cold = await said(engine, temperature=0.25, top_k=50, logprobs=True)
    assert hot.logprobs is not None
    assert cold.logprobs is not None
    # Log probabilities are those after the temperature: of the likeliest fifty ids, the colder gives each more.
    assert sum(cold.logprobs) > sum(hot.logprobs) + len(cold.logprobs) / 2


async def test_top_k(engine: ScriptedSglang):
    assert len(await first_ids(engine, top_k=3)) <= 3
    assert len(await first_ids(engine, top_k=-1)) > 3
    assert len(await first_ids(engine, top_k=0)) > 3


async def test_top_p(engine: ScriptedSglang):
    assert len(await first_ids(engine, 12, top_p=1e-6)) == 1


async def test_min_p(engine: ScriptedSglang):
    assert len(await first_ids(engine, 12, min_p=1.0)) == 1


async def test_presence_penalty(engine: ScriptedSglang):
    greedy = ids(await said(engine, 40, temperature=0.0))
    apart = ids(await said(engine, 40, temperature=0.0, presence_penalty=2.0))
    assert len(set(apart)) > len(set(greedy))


async def test_repetition_penalty(engine: ScriptedSglang):
    greedy = ids(await said(engine, 40, temperature=0.0))
    apart = ids(await said(engine, 40, temperature=0.0, repetition_penalty=2.0))
    assert len(set(apart)) > len(set(greedy))


async def test_max_tokens(engine: ScriptedSglang):
    generation = await said(engine, 17, temperature=0.0)
    assert generation.finish_reason == "length"
    assert generation.usage.completion_tokens == 17


async def test_logprobs_and_token_ids_come_one_for_one_and_only_when_asked_for(engine: ScriptedSglang):
    generation = await said(engine, 20, top_k=20, logprobs=True)
    assert generation.logprobs is not None
    assert len(generation.logprobs) == len(ids(generation))
    assert all(value <= 0 and math.isfinite(value) for value in generation.logprobs)
    assert (await said(engine, 4)).logprobs is None


async def test_stop_strings_end_the_turn_and_are_cut_off(engine: ScriptedSglang):
    tokenizer = engine.model.tokenizer
    spoken = "<think>\nI look.\n</think>\nHere it is\n<tool_response>\nmade up"
    script = [tokenizer.token("<think>"), *tokenizer.encode("\nI look.\n"), tokenizer.token("</think>")]
    script += [*tokenizer.encode("\nHere it is\n"), tokenizer.token("<tool_response>"), *tokenizer.encode("\nmade up")]
    engine.script = lambda request: [number for number in script if number is not None]
    heard: list[str] = []

    async def hear(piece: str) -> None:
        heard.append(piece)

    for listener in (None, hear):
        request = GenerationRequest("", ASKED, Sampling(), 200)
        generation = await engine.generate(request, timeout_seconds=120, on_delta=listener)
        assert generation.text in (spoken.split("\n<tool_response>")[0], spoken.split("<tool_response>")[0])
        assert generation.finish_reason == "stop"
        assert generation.matched_stop in Sampling().stop
        assert tokenizer.token("<tool_response>") not in ids(generation)
        assert tokenizer.decode(ids(generation)) == generation.text
    assert "".join(heard) == generation.text


async def test_a_seed_is_taken_and_changes_nothing_where_the_runtime_is_not_deterministic(engine: ScriptedSglang):
    said_so = {ids(await said(engine, 8, seed=7)) for _ in range(4)}
    assert len(said_so) > 1


async def test_the_published_sampling_is_sent_to_the_scheduler_field_by_field(
    engine: ScriptedSglang, monkeypatch: pytest.MonkeyPatch
):
    sent: list[Any] = []
    assert engine._runtime is not None
    manager = engine._runtime._engine.tokenizer_manager
    send = manager._send_one_request

    async def spied(tokenized: Any) -> Any:
        sent.append(tokenized.sampling_params)
        return await send(tokenized)

    monkeypatch.setattr(manager, "_send_one_request", spied)
    published = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.0, "presence_penalty": 1.1}
    published |= {"repetition_penalty": 1.0}
    request = GenerationRequest("", ASKED, Sampling(seed=7), 11)
    await engine.generate(request, timeout_seconds=120)
    params = sent[0]
    assert {name: getattr(params, name) for name in published} == published
    assert (params.max_new_tokens, params.sampling_seed) == (11, 7)
    assert sorted(params.stop_strs) == sorted(["<tool_response>", "\n<tool_response>"])


@pytest.mark.parametrize("wrong", [{"top_p": 7.0}, {"temperature": -1.0}, {"min_p": 3.0}, {"repetition_penalty": 0.0}])
async def test_a_value_out_of_range_is_refused_and_the_engine_stays_well(engine: ScriptedSglang, wrong: dict[str, Any]):
    with pytest.raises(BoundaryError) as caught:
        await said(engine, 2, **wrong)
    assert (caught.value.code, caught.value.transient) == ("engine_rejected", False)
    await engine.check()
