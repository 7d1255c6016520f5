"""The raw model over real SGLang in this process: OpenAI's form in, what SGLang really did out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from cpu_kit.scripted import ScriptedSglang
from literesearcher.errors import CallerError
from literesearcher.gateway.model_call import ModelCall
from literesearcher.gateway.raw_model.engine_model import EngineModel
from literesearcher.timing.clock import SystemClock

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MESSAGES: list[Any] = [{"role": "system", "content": "You are a model."}, {"role": "user", "content": "Say something."}]
PROMPT = "<|im_start|>user\nSay something.<|im_end|>\n<|im_start|>assistant\n"
GREEDY: dict[str, Any] = {"temperature": 0.0, "top_p": 1.0, "top_k": -1}


@pytest.fixture
async def engine(start: Any, random_model: Path) -> ScriptedSglang:
    made: ScriptedSglang = await start(random_model, context_length=4096, kv_tokens=16_384, max_running=16)
    return made


async def asked(engine: ScriptedSglang, path: str, **body: Any) -> Any:
    """The whole answer, or the chunks of a stream."""
    model = EngineModel(engine, clock=SystemClock(), seconds=120)
    async with model.answer(path, ModelCall(b"", body, "", 1)) as answer:
        if answer.body is not None:
            return orjson.loads(answer.body)
        assert answer.pieces is not None
        lines = b"".join([piece async for piece in answer.pieces]).split(b"\n\n")
    assert lines[-2:] == [b"data: [DONE]", b""]
    return [orjson.loads(line.removeprefix(b"data: ")) for line in lines[:-2]]


async def test_a_chat_with_log_probabilities_and_two_choices(engine: ScriptedSglang) -> None:
    options: dict[str, Any] = {"messages": MESSAGES, "logprobs": True, "top_logprobs": 3, "n": 2, "max_tokens": 8}
    whole = await asked(engine, CHAT, **options, temperature=1.0, top_k=-1, top_p=1.0, ignore_eos=True)
    assert [one["index"] for one in whole["choices"]] == [0, 1]
    assert whole["choices"][0]["message"] != whole["choices"][1]["message"]
    for choice in whole["choices"]:
        told = choice["logprobs"]["content"]
        assert 0 < len(told) <= 8
        for one in told:
            assert len(one["top_logprobs"]) == 3
            assert one["top_logprobs"][0]["logprob"] >= max(one["logprob"], one["top_logprobs"][2]["logprob"]) - 1e-3
    assert (whole["usage"]["completion_tokens"], whole["choices"][0]["finish_reason"]) == (16, "length")
    assert whole["usage"]["prompt_tokens"] < 100, "two choices have one prompt"


async def test_a_prompt_as_text_and_as_ids_is_the_same(engine: ScriptedSglang) -> None:
    ids = engine.model.tokenizer.encode_whole(PROMPT)
    text = await asked(engine, COMPLETIONS, prompt=PROMPT, max_tokens=8, **GREEDY)
    same = await asked(engine, COMPLETIONS, prompt=ids, max_tokens=8, **GREEDY)
    chunks = await asked(engine, COMPLETIONS, prompt=ids, max_tokens=8, stream=True, **GREEDY)
    assert text["usage"]["prompt_tokens"] == len(ids)
    assert text["choices"][0]["text"] == same["choices"][0]["text"]
    assert "".join(one["choices"][0]["text"] for one in chunks) == text["choices"][0]["text"]


async def test_each_field_acts_on_sglang_s_sampler(engine: ScriptedSglang) -> None:
    async def first(**fields: Any) -> Any:
        said = await asked(engine, COMPLETIONS, prompt=PROMPT, logprobs=0, return_token_ids=True, **GREEDY, **fields)
        return said["choices"][0]

    free = await first(max_tokens=30, ignore_eos=True)
    token = free["token_ids"][0]
    banned = await first(max_tokens=30, ignore_eos=True, logit_bias={str(token): -100})
    assert token not in banned["token_ids"]
    stopped = await first(max_tokens=30, stop_token_ids=[token])
    assert (stopped["finish_reason"], stopped["text"]) == ("stop", "")
    put_off = await first(max_tokens=30, stop_token_ids=[token], min_tokens=5)
    assert len(put_off["token_ids"]) >= 5
    repeats = await first(max_tokens=30, ignore_eos=True, frequency_penalty=2)
    assert repeats["token_ids"] != free["token_ids"]


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": [10**6]},
        {"prompt": "x", "stop_token_ids": [10**6], "min_tokens": 1},
        {"prompt": "x", "logit_bias": {"999999": 1}},
    ],
)
async def test_a_token_that_is_none_never_reaches_the_scheduler(engine: ScriptedSglang, fields: Any) -> None:
    with pytest.raises(CallerError) as raised:
        await asked(engine, COMPLETIONS, max_tokens=2, **fields)
    assert raised.value.code == "model_refused"
    assert (await asked(engine, COMPLETIONS, prompt="x", max_tokens=1))["choices"], "it still runs"


async def test_a_limit_beyond_the_context(engine: ScriptedSglang) -> None:
    with pytest.raises(CallerError) as raised:
        await asked(engine, COMPLETIONS, prompt=PROMPT, max_tokens=5000)
    assert raised.value.code == "context_length_exceeded"
    left = await asked(engine, CHAT, messages=[{"role": "user", "content": "x " * 3990}], ignore_eos=True)
    assert left["usage"]["total_tokens"] <= 4096
