"""What of a stream may be shown, how it reaches a listener, and what SGLang's answers and failures become."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from literesearcher.engine.delivery import Delivery, shown
from literesearcher.engine.port import GenerationRequest
from literesearcher.engine.raw_call import RawCall
from literesearcher.engine.sglang.answer import generation_of
from literesearcher.engine.sglang.failures import aborted, refusals
from literesearcher.engine.sglang.pool import Conversations, engine_load
from literesearcher.engine.sglang.sampling import priority, sampling_params
from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Sampling

STOP = ("<tool_response>", "\n<tool_response>")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a thought", "a thought"),
        ("a thought\n", "a thought"),
        ("a thought\n<tool_resp", "a thought"),
        ("a < b", "a < b"),
        ("a <", "a "),
        ("caf\ufffd", "caf"),
        ("", ""),
    ],
)
def test_the_beginning_of_a_stop_string_and_half_a_character_wait(text: str, told: str):
    assert shown(text, STOP) == told


@given(st.text("ab<\ufffd", max_size=12), st.lists(st.text("ab<", min_size=1, max_size=6), max_size=3))
def test_what_waits_is_the_longest_beginning_of_any_stop_string(text: str, stops: list[str]):
    end = len(text.rstrip("\ufffd"))
    begun = [size for one in stops for size in range(1, len(one)) if text.endswith(one[:size], 0, end)]
    assert shown(text, tuple(stops)) == text[: end - max(begun, default=0)]


def test_long_stop_strings_are_hardly_looked_at():
    compared = 0

    class Watched(str):
        def __getitem__(self, at: Any) -> str:
            nonlocal compared
            compared += 1
            return super().__getitem__(at)

    assert shown("one two three", tuple(Watched("#" + "a" * 4000) for _ in range(64))) == "one two three"
    assert compared == 64


async def test_a_slow_listener_gets_everything_in_fewer_pieces():
    heard: list[str] = []
    free = asyncio.Event()

    async def slow(piece: str) -> None:
        heard.append(piece)
        await free.wait()

    delivery = Delivery(slow, STOP)

    async def call() -> dict[str, Any]:
        for size in range(1, 101):
            delivery.put("x" * size)
            await asyncio.sleep(0)
        free.set()
        return {"text": "x" * 100}

    await delivery.follow(call())
    assert "".join(heard) == "x" * 100
    assert len(heard) < 10


async def test_a_listener_that_fails_ends_the_call():
    ended = asyncio.Event()

    async def broken(piece: str) -> None:
        raise RuntimeError("the listener is gone")

    delivery = Delivery(broken, STOP)

    async def call() -> dict[str, Any]:
        delivery.put("some")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    with pytest.raises(RuntimeError):
        await delivery.follow(call())
    await asyncio.wait_for(ended.wait(), 10)


class _History:
    def settled(self, ids: list[int], text: str) -> tuple[int, ...] | None:
        return tuple(ids[:-1])


def generated(answer: dict[str, Any]) -> Any:
    return generation_of(
        answer,
        history=_History(),  # type: ignore[arg-type]
        prompt_tokens=7,
        model="m",
        logprobs=True,
        opens_thought=True,
    )


def test_an_answer_is_read_whole():
    generation = generated(
        {
            "text": "hi\x00\ud800",
            "output_ids": [5, 6, 151_645],
            "meta_info": {
                "finish_reason": {"type": "stop", "matched": "<tool_response>"},
                "completion_tokens": 3,
                "cached_tokens": 6,
                "output_token_logprobs": [[-0.5, 5, None], [-0.25, 6, None], [-1.0, 151_645, None]],
            },
        }
    )
    assert generation.text == "hi\ufffd\ufffd"
    assert (generation.finish_reason, generation.matched_stop) == ("stop", "<tool_response>")
    assert (generation.token_ids, generation.logprobs) == ((5, 6), (-0.5, -0.25))
    assert (generation.usage.prompt_tokens, generation.usage.completion_tokens) == (7, 3)
    assert generation.usage.cached_tokens == 6


def test_half_an_answer_is_garbage():
    with pytest.raises(BoundaryError) as caught:
        generated({"text": "hi", "output_ids": [5], "meta_info": {"finish_reason": None}})
    assert (caught.value.code, caught.value.transient) == ("engine_garbage", True)


@pytest.mark.parametrize(
    ("reason", "code", "transient"),
    [
        ({"message": "out of memory", "status_code": 500}, "engine_error", True),
        ({"message": "queue is full", "status_code": 503}, "engine_busy", True),
        ({"message": "bad field", "status_code": 400}, "engine_rejected", False),
        ({}, "engine_error", True),
    ],
)
def test_an_abort_is_told_by_its_status(reason: dict[str, Any], code: str, transient: bool):
    error = aborted({"type": "abort", **reason})
    assert (error.code, error.transient) == (code, transient)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (
            ValueError("The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
            "prompt_too_long",
        ),
        (ValueError("top_p must be in (0, 1], got 7.0."), "engine_rejected"),
        (TypeError("unexpected keyword argument 'x'"), "engine_rejected"),
        (HTTPException(503, "no place"), "engine_busy"),
    ],
)
def test_a_refusal_is_one_of_the_port(raised: Exception, code: str):
    with pytest.raises(BoundaryError) as caught, refusals():
        raise raised
    assert caught.value.code == code
    assert isinstance(caught.value, PromptTooLong) == (code == "prompt_too_long")


def test_every_sampling_field_has_its_name():
    sampling = Sampling(0.7, 0.9, 30, 0.05, 1.2, 1.1, ("a", ""), 7)
    assert sampling_params(GenerationRequest("job", (), sampling, 99)) == {
        "max_new_tokens": 99,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 30,
        "min_p": 0.05,
        "presence_penalty": 1.2,
        "repetition_penalty": 1.1,
        "stop": ["a"],
        "sampling_seed": 7,
    }
    assert sampling_params(GenerationRequest("job", (), Sampling(top_k=0), 1))["top_k"] == -1


def test_what_callers_of_the_raw_model_ask_has_its_name():
    raw = RawCall(
        frequency_penalty=0.25,
        logit_bias=((5, -100.0), (7, 1.5)),
        stop_token_ids=(1, 2),
        min_tokens=4,
        ignore_eos=True,
    )
    asked = sampling_params(GenerationRequest("", (), Sampling(), 10, purpose="raw", raw=raw))
    assert {
        "frequency_penalty": 0.25,
        "logit_bias": {"5": -100.0, "7": 1.5},
        "stop_token_ids": [1, 2],
        "min_new_tokens": 4,
        "ignore_eos": True,
    }.items() <= asked.items()
    assert "logit_bias" not in sampling_params(GenerationRequest("", (), Sampling(), 10, raw=RawCall()))
    assert "frequency_penalty" not in sampling_params(GenerationRequest("", (), Sampling(), 10))


def test_a_turn_comes_before_the_reading_of_pages_and_a_jobs_own_priority_before_both():
    def of(purpose: str, job: int = 0) -> int:
        return priority(GenerationRequest("job", (), Sampling(), 1, priority=job, purpose=purpose))

    assert of("turn") == of("context_answer") > of("compress") > of("extract")
    assert of("extract", 1) > of("turn")


def test_a_waiting_conversation_holds_its_tokens_until_it_is_forgotten():
    open_ones = Conversations()
    open_ones.begin("a")
    open_ones.end("a", 1000)
    open_ones.begin("b")
    open_ones.end("b", 500)
    assert open_ones.held == 1500
    open_ones.begin("a")
    assert open_ones.held == 500
    open_ones.end("a", 0)
    assert open_ones.held == 1500
    open_ones.begin("")
    open_ones.end("", 9)
    assert open_ones.forget("a")
    assert not open_ones.forget("a")
    assert open_ones.held == 500
    open_ones.begin("b")
    open_ones.forget("b")
    open_ones.end("b", 700)
    assert open_ones.held == 0


def test_the_load_counts_what_waits_but_no_more_than_there_is():
    snapshot = SimpleNamespace(
        max_total_num_tokens=1000,
        num_used_tokens=100,
        num_running_reqs=2,
        num_waiting_reqs=3,
        num_waiting_uncached_tokens=40,
        total_prefill_uncached_tokens=5000,
        total_prefill_busy_us=2_000_000,
        gen_throughput=55.5,
    )
    load = engine_load(snapshot, held=200, retracted=4)
    assert (load.kv_capacity, load.kv_used, load.running, load.waiting, load.queued_prefill) == (1000, 300, 2, 3, 40)
    assert (load.prefill_per_second, load.decode_per_second, load.retracted) == (2500.0, 55.5, 4)
    assert engine_load(snapshot, held=5000, retracted=0).kv_used == 1000
