"""The raw model where the engine lives in the gateway's process: every field by OpenAI's client, what comes back."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest

from literesearcher.engine.port import EngineInfo, Generation, GenerationRequest
from literesearcher.engine.raw_call import RawCall, Token
from literesearcher.errors import BoundaryError, ConfigurationError, LiteResearcherError, PromptTooLong
from literesearcher.gateway.raw_model.engine_model import EngineModel
from literesearcher.research.messages import Sampling, Usage
from literesearcher.testing.served_gateway import PATIENCE, Served
from literesearcher.timing.clock import SystemClock
from published_request import PUBLISHED

MODEL = "LiteResearcher-4B"
WORDS = ("<think>\n", "É谁", " yes")


class Speaking:
    """An engine that says a few words, as many times as it is asked."""

    def __init__(self) -> None:
        self.asked: list[GenerationRequest] = []
        self.failure: LiteResearcherError | None = None
        self.fails_at = 0
        self.gate: asyncio.Event | None = None
        self.ended = 0

    async def describe(self) -> EngineInfo:
        return EngineInfo("sglang", MODEL, 131_072)

    async def generate(self, request: GenerationRequest, *, timeout_seconds: float, on_delta: Any = None) -> Generation:
        number = len(self.asked)
        self.asked.append(request)
        try:
            if self.failure is not None and number == self.fails_at:
                raise self.failure
            for word in WORDS:
                await asyncio.sleep(0)
                if on_delta is not None:
                    await on_delta(word)
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.ended += 1
        others = ((("a", -0.1), ("b", float("-inf"))))[: request.raw.top_logprobs if request.raw else 0]
        tokens = tuple(Token(at, word, -0.5 * at, others) for at, word in enumerate(WORDS))
        return Generation(
            "".join(WORDS),
            "length" if number else "stop",
            Usage(11, 3, 7),
            MODEL,
            matched_stop=None if number else "STOP",
            token_ids=(0, 1, 2),
            tokens=tokens if request.sampling.logprobs else None,
        )

    def count_tokens(self, text: str) -> int | None:
        return None

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.fixture
def engine() -> Speaking:
    return Speaking()


@pytest.fixture
async def served(start: Callable[..., Awaitable[Served]], engine: Speaking) -> Served:
    model = EngineModel(engine, clock=SystemClock(), seconds=PATIENCE)
    return await start(raw_model=model, engine_info=engine.describe, model_requests=8)


@pytest.fixture
async def client(served: Served) -> openai.AsyncOpenAI:
    key = (await served.store.create_key("one", ""))[1]
    return openai.AsyncOpenAI(base_url=f"{served.base}/v1", api_key=key, max_retries=0, timeout=PATIENCE)


def plain(request: GenerationRequest) -> RawCall:
    assert request.raw is not None
    return request.raw


@pytest.mark.parametrize("stream", [False, True])
async def test_the_published_script_s_request_is_understood(
    client: openai.AsyncOpenAI, engine: Speaking, stream: bool
) -> None:
    answer: Any = await client.chat.completions.create(model=MODEL, stream=stream, **PUBLISHED)
    if stream:
        chunks = [chunk async for chunk in answer]
        assert "".join(one.choices[0].delta.content or "" for one in chunks) == "".join(WORDS)
        assert (chunks[0].choices[0].delta.role, chunks[-1].choices[0].finish_reason) == ("assistant", "stop")
        assert len({one.id for one in chunks}) == 1
        told = chunks[-1].choices[0].logprobs
    else:
        assert answer.choices[0].message.content == "".join(WORDS)
        assert answer.id.startswith("chatcmpl-")
        assert answer.created > 1_600_000_000
        told = answer.choices[0].logprobs
    assert [(one.token, one.logprob) for one in told.content] == [(WORDS[0], 0.0), (WORDS[1], -0.5), (WORDS[2], -1.0)]
    assert bytes(told.content[1].bytes).decode() == WORDS[1]
    [asked] = engine.asked
    assert asked.sampling == Sampling(stop=("\n<tool_response>", "<tool_response>"), logprobs=True)
    assert (asked.max_tokens, asked.program, asked.purpose) == (10_000, "", "raw")
    assert [(one.role, one.content) for one in asked.messages] == [
        ("system", "You are a researcher. 谁"),
        ("user", "Who?\n"),
    ]


async def test_every_field_arrives(client: openai.AsyncOpenAI, engine: Speaking) -> None:
    await client.completions.create(
        model=MODEL,
        prompt="<|im_start|>user\n",
        temperature=0.0,
        top_p=0.5,
        presence_penalty=-1.0,
        frequency_penalty=0.25,
        logit_bias={"5": -100, "7": 1.5},  # type: ignore[dict-item]
        stop="STOP",
        seed=-3,
        max_tokens=9,
        logprobs=2,
        user="me",
        extra_body={
            "top_k": -1,
            "min_p": 0.1,
            "repetition_penalty": 1.2,
            "min_tokens": 4,
            "stop_token_ids": [1, 2],
            "ignore_eos": True,
            "return_token_ids": True,
            "skip_special_tokens": True,
        },
    )
    [asked] = engine.asked
    assert asked.sampling == Sampling(0.0, 0.5, 0, 0.1, -1.0, 1.2, ("STOP",), -3, logprobs=True)
    assert asked.max_tokens == 9
    assert plain(asked) == RawCall(
        prompt="<|im_start|>user\n",
        frequency_penalty=0.25,
        logit_bias=((5, -100.0), (7, 1.5)),
        stop_token_ids=(1, 2),
        min_tokens=4,
        ignore_eos=True,
        top_logprobs=2,
    )


async def test_what_nobody_names_is_the_model_card_s_or_nothing(client: openai.AsyncOpenAI, engine: Speaking) -> None:
    await client.chat.completions.create(model=MODEL, messages=PUBLISHED["messages"])
    await client.completions.create(model=MODEL, prompt=[151_644, 872])
    chat, text = engine.asked
    assert chat.sampling == text.sampling == Sampling(presence_penalty=0.0, stop=())
    assert (chat.max_tokens, plain(chat)) == (10_000, RawCall(fits=True))
    assert (text.max_tokens, plain(text)) == (16, RawCall(prompt=(151_644, 872), fits=True))
    assert plain(chat).new_tokens(10_000, 300) == 300
    assert dataclasses.replace(plain(chat), fits=False).new_tokens(10_000, 300) == 10_000


async def test_several_choices_of_several_prompts(client: openai.AsyncOpenAI, engine: Speaking) -> None:
    answer = await client.completions.create(model=MODEL, prompt=["a", "b"], n=2, seed=2**63 - 1, best_of=2)
    assert [one.index for one in answer.choices] == [0, 1, 2, 3]
    assert [(plain(one).prompt, one.sampling.seed) for one in engine.asked] == [
        ("a", 2**63 - 1),
        ("a", -(2**63)),
        ("b", 2**63 - 1),
        ("b", -(2**63)),
    ]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (22, 12, 34)


async def test_a_stream_of_several_choices_names_each(client: openai.AsyncOpenAI, engine: Speaking) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}, "n": 3, "stream": True}
    stream: Any = await client.chat.completions.create(model=MODEL, messages=PUBLISHED["messages"], **options)
    texts, ends = ["", "", ""], {}
    chunks = [chunk async for chunk in stream]
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    assert texts == ["".join(WORDS)] * 3
    assert ends == {0: "stop", 1: "length", 2: "length"}
    assert (chunks[-1].choices, chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == ([], 11, 9)


async def test_alternatives_are_told_as_many_as_asked(client: openai.AsyncOpenAI) -> None:
    chat = await client.chat.completions.create(
        model=MODEL, messages=PUBLISHED["messages"], logprobs=True, top_logprobs=2
    )
    assert chat.choices[0].logprobs is not None
    content = chat.choices[0].logprobs.content or []
    assert [[(one.token, one.logprob) for one in token.top_logprobs] for token in content] == [
        [("a", -0.1), ("b", -9999.0)]
    ] * 3
    text = await client.completions.create(model=MODEL, prompt="x", logprobs=1)
    told = text.choices[0].logprobs
    assert told is not None
    assert (told.tokens, told.token_logprobs, told.text_offset) == (list(WORDS), [0.0, -0.5, -1.0], [0, 8, 10])
    assert told.top_logprobs == [{"a": -0.1}] * 3
    assert (await client.completions.create(model=MODEL, prompt="x")).choices[0].logprobs is None


BAD: list[tuple[str, Any, str]] = [
    ("temperature", "hot", "bad_request"),
    ("temperature", -0.1, "bad_request"),
    ("temperature", True, "bad_request"),
    ("top_p", 0, "bad_request"),
    ("top_p", 1.5, "bad_request"),
    ("min_p", 2, "bad_request"),
    ("presence_penalty", 2.5, "bad_request"),
    ("frequency_penalty", -3, "bad_request"),
    ("repetition_penalty", 0, "bad_request"),
    ("top_k", 1.5, "bad_request"),
    ("top_k", 2**40, "bad_request"),
    ("seed", 2**63, "bad_request"),
    ("n", 0, "bad_request"),
    ("max_tokens", 0, "bad_request"),
    ("max_tokens", 1.5, "bad_request"),
    ("min_tokens", 17, "bad_request"),
    ("stop", [1], "bad_request"),
    ("stop", "", "bad_request"),
    ("stop", ["x"] * 65, "bad_request"),
    ("stop", 0, "bad_request"),
    ("stop_token_ids", [1] * 4097, "bad_request"),
    ("logit_bias", {str(one): 1 for one in range(4097)}, "bad_request"),
    ("stop_token_ids", [-1], "bad_request"),
    ("stop_token_ids", ["1"], "bad_request"),
    ("logit_bias", {"x": 1}, "bad_request"),
    ("logit_bias", {"1": 101}, "bad_request"),
    ("logit_bias", [1], "bad_request"),
    ("stream", "yes", "bad_request"),
    ("stream_options", [], "bad_request"),
    ("ignore_eos", 1, "bad_request"),
    ("best_of", 3, "unsupported_field"),
    ("tools", [{}], "unsupported_field"),
    ("response_format", {"type": "json_object"}, "unsupported_field"),
    ("echo", True, "unsupported_field"),
    ("regex", "a+", "unsupported_field"),
    ("skip_special_tokens", False, "unsupported_field"),
    ("x" * 300, 1, "unsupported_field"),
]


@pytest.mark.parametrize(("name", "value", "code"), BAD)
async def test_what_cannot_be_is_refused_by_its_name(
    served: Served, engine: Speaking, name: str, value: Any, code: str
) -> None:
    body = {"model": MODEL, "prompt": "x", "max_tokens": 16} | {name: value}
    status, _, said = await served.call("POST", "/v1/completions", json=body)
    assert (status, said["error"]["code"], said["error"]["param"]) == (400, code, name[:100])
    assert engine.asked == []


MESSAGES: list[Any] = [
    None,
    [],
    "x",
    [{"role": "tool", "content": "x"}],
    [{"role": "user"}],
    [{"role": "user", "content": [{"type": "image_url"}]}],
    [{"role": "assistant", "content": "x", "tool_calls": [{}]}],
    [{"role": "assistant", "content": "x", "reasoning_content": "thought"}],
]


@pytest.mark.parametrize("messages", MESSAGES)
async def test_a_conversation_that_the_template_has_no_place_for(served: Served, messages: Any) -> None:
    body = {"model": MODEL, "messages": messages}
    status, _, said = await served.call("POST", "/v1/chat/completions", json=body)
    assert (status, said["error"]["param"]) == (400, "messages")


@pytest.mark.parametrize("prompt", [None, "", [], [""], [[]], [1, "a"], ["a", 1], [1.5], [True], [-1], {"a": 1}])
async def test_a_prompt_that_is_none(served: Served, engine: Speaking, prompt: Any) -> None:
    status, _, said = await served.call("POST", "/v1/completions", json={"model": MODEL, "prompt": prompt})
    assert (status, said["error"]["param"], engine.asked) == (400, "prompt", [])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (PromptTooLong("9 tokens are too many"), 400, "context_length_exceeded"),
        (BoundaryError("logit_bias names no token", code="engine_rejected"), 400, "model_refused"),
        (BoundaryError("at http://10.0.0.1", code="engine_busy", transient=True), 503, "engine_busy"),
        (ConfigurationError("/on/10.0.0.1/model is no folder"), 503, "engine_unreachable"),
    ],
)
async def test_a_refusal_before_the_first_word_has_its_status(
    client: openai.AsyncOpenAI, engine: Speaking, failure: LiteResearcherError, status: int, code: str, stream: bool
) -> None:
    engine.failure = failure
    with pytest.raises(openai.APIStatusError) as raised:
        await client.completions.create(model=MODEL, prompt="x", stream=stream)
    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert "10.0.0.1" not in str(raised.value)


async def test_one_choice_that_fails_ends_the_others(client: openai.AsyncOpenAI, engine: Speaking) -> None:
    engine.gate = asyncio.Event()
    engine.failure, engine.fails_at = BoundaryError("broken", code="engine_error", transient=True), 2
    with pytest.raises(openai.APIStatusError) as raised:
        await client.completions.create(model=MODEL, prompt="x", n=3)
    assert (raised.value.code, engine.ended) == ("engine_error", 3)


async def test_a_tenant_s_quota_counts_choices(client: openai.AsyncOpenAI, engine: Speaking) -> None:
    engine.gate = asyncio.Event()
    first = asyncio.ensure_future(client.completions.create(model=MODEL, prompt="x", n=6))
    async with asyncio.timeout(PATIENCE):
        while len(engine.asked) < 6:
            await asyncio.sleep(0.01)
    with pytest.raises(openai.RateLimitError):
        await client.completions.create(model=MODEL, prompt="x", n=3)
    engine.gate.set()
    assert len((await first).choices) == 6


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_who_goes_away_ends_every_choice(
    client: openai.AsyncOpenAI, engine: Speaking, stream: bool
) -> None:
    engine.gate = asyncio.Event()
    asking = asyncio.ensure_future(client.completions.create(model=MODEL, prompt="x", n=2, stream=stream))
    async with asyncio.timeout(PATIENCE):
        if stream:
            answer: Any = await asking
            assert (await anext(aiter(answer))).choices[0].text
            await answer.close()
        while len(engine.asked) < 2:
            await asyncio.sleep(0.01)
        asking.cancel()
        while engine.ended < 2:
            await asyncio.sleep(0.01)


async def test_a_request_has_so_much_time(start: Callable[..., Awaitable[Served]], engine: Speaking) -> None:
    engine.gate = asyncio.Event()
    model = EngineModel(engine, clock=SystemClock(), seconds=0.05)
    served = await start(raw_model=model, engine_info=engine.describe)
    status, _, said = await served.call("POST", "/v1/completions", json={"model": MODEL, "prompt": "x"})
    assert (status, said["error"]["code"], engine.ended) == (504, "engine_timeout", 1)
