"""A server that takes token ids: what it is sent, and what its own ids are good for."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import orjson
import pytest

from literesearcher.engine.openai import OpenAIEngine
from literesearcher.engine.port import GenerationRequest
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import ConfigurationError
from literesearcher.research.messages import Message, Sampling
from literesearcher.research.opening import tool_message
from literesearcher.research.rendering import render
from literesearcher.settings.sections import EngineSection
from literesearcher.testing.byte_tokenizer import write_byte_tokenizer
from literesearcher.testing.contracts.engine import Say, request
from literesearcher.testing.injections import INJECTIONS
from literesearcher.testing.machine_run import call
from literesearcher.testing.model_server import Raw, RefuseFields, Stream, event
from literesearcher.timing.clock import SystemClock

OPENING = (Message("system", "instructions"), Message("user", "Who?"))


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    return write_byte_tokenizer(tmp_path / "tokenizer.json")


@pytest.fixture
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.from_file(tokenizer_file)


def packed(ids: tuple[int, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(ids)}I", *ids)).decode()


def turn(*messages: Message, program: str = "job", **changes: Any) -> GenerationRequest:
    return GenerationRequest(program, messages, Sampling(), 100, **changes)


def said(text: str, ids: list[int]) -> Raw:
    choice = {"index": 0, "text": text, "finish_reason": "stop", "token_ids": ids}
    usage = {"prompt_tokens": 3, "completion_tokens": len(ids)}
    return Raw(orjson.dumps({"model": "stub-model", "choices": [choice], "usage": usage}))


async def test_the_next_prompt_begins_with_the_last_and_what_was_generated(bench, tokenizer_file, tokenizer) -> None:
    text = call("search", thought="look")
    spelled = [number for letter in text for number in tokenizer.encode(letter)]
    end = tokenizer.token("<|im_end|>")
    server = await bench.server(said(text, [*spelled, end]), Say("x"))
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file, opens_thought=False)
    got = await engine.generate(turn(*OPENING), timeout_seconds=20)
    assert server.paths[-1] == "/v1/completions"
    assert server.bodies[0]["return_token_ids"] is True
    assert tokenizer.decode(server.bodies[0]["prompt"]) == render(OPENING, False)
    assert got.token_ids == tuple(spelled)
    history = (
        *OPENING,
        Message("assistant", got.text, False, packed(got.token_ids)),
        tool_message("found", "improved"),
    )
    await engine.generate(turn(*history), timeout_seconds=20)
    sent = server.bodies[1]["prompt"]
    assert sent[: len(server.bodies[0]["prompt"]) + len(spelled)] == [*server.bodies[0]["prompt"], *spelled]
    assert tokenizer.decode(sent) == render(history, False)


async def test_ids_of_a_stream_are_taken_together(bench, tokenizer_file, tokenizer, hear) -> None:
    text = "<think>\na 两\n</think>\n<answer>b</answer>"
    ids = [number for letter in text for number in tokenizer.encode(letter)]
    pieces = [
        event({"choices": [{"index": 0, "text": text[:7], "token_ids": ids[:7], "finish_reason": None}]}),
        event({"choices": [{"index": 0, "text": text[7:], "token_ids": ids[7:], "finish_reason": "stop"}]}),
        b"data: [DONE]\n\n",
    ]
    server = await bench.server(Stream(tuple(pieces)))
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file, opens_thought=False)
    heard, sink = hear()
    got = await engine.generate(turn(*OPENING), timeout_seconds=20, on_delta=sink)
    assert (got.text, got.token_ids, "".join(heard)) == (text, tuple(ids), text)


@pytest.mark.parametrize("wrong", [["a"], [1, -1], [2**40], "ids", [True, None], [5, 6, 7]])
async def test_ids_that_are_not_the_texts_are_done_without(bench, tokenizer_file, wrong) -> None:
    server = await bench.server(said("<think>\nsomething long enough\n</think>", wrong))
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    got = await engine.generate(turn(*OPENING), timeout_seconds=20)
    assert (got.text, got.token_ids) == ("<think>\nsomething long enough\n</think>", None)


async def test_a_server_that_gives_no_ids_is_asked_for_them_until_it_refuses(bench, tokenizer_file) -> None:
    refusal = RefuseFields(("return_token_ids",), "extra_forbidden: return_token_ids")
    server = await bench.server(refusal, Say("one"), Say("two"))
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    assert (await engine.generate(turn(*OPENING), timeout_seconds=20)).token_ids is None
    await engine.generate(turn(*OPENING), timeout_seconds=20)
    assert ["return_token_ids" in body for body in server.bodies] == [True, False, False]


@pytest.mark.parametrize("attack", INJECTIONS)
async def test_no_page_is_more_than_text_on_either_kind_of_server(bench, tokenizer_file, tokenizer, attack) -> None:
    messages = (*OPENING, Message("assistant", call("search"), True), tool_message(INJECTIONS[attack], "improved"))
    control = [tokenizer.token(name) for name in ("<|im_start|>", "<|im_end|>", "<tool_response>", "</tool_response>")]
    counts = []
    for endpoint in ("chat", "completions", "tokens"):
        server = await bench.server(Say("x"))
        engine = bench.engine(server, endpoint=endpoint, tokenizer_file=tokenizer_file)
        await engine.generate(turn(*messages), timeout_seconds=20)
        body = server.bodies[0]
        if endpoint == "tokens":
            counts.append([body["prompt"].count(number) for number in control])
            continue
        # What the server will make of the text, its tokenizer seeing every token.
        contents = [one["content"] for one in body["messages"]] if endpoint == "chat" else [body["prompt"]]
        texts = "".join(contents)
        counts.append([texts.count(tokenizer.decode([number])) for number in control])
    roles = len(messages) + 1
    assert counts == [[0, 0, 1, 1], [roles, roles - 1, 1, 1], [roles, roles - 1, 1, 1]]


async def test_long_texts_and_page_extractions_are_sent_too(bench, tokenizer_file, tokenizer) -> None:
    server = await bench.server(Say("x"), Say("y"), Say("z"))
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    long = Message("user", "word " * 20_000)
    for program, purpose in (("job", "turn"), ("extract", "extract"), ("extract", "extract")):
        await engine.generate(turn(long, program=program, purpose=purpose), timeout_seconds=20)
    assert {tokenizer.decode(body["prompt"]) for body in server.bodies} == {render((long,), True)}


async def test_without_a_tokenizer_the_engine_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="TOKENIZER_FILE"):
        OpenAIEngine(EngineSection(base_url="http://x/v1", endpoint="tokens"), clock=SystemClock())


async def test_other_endpoints_ask_for_no_ids(bench) -> None:
    server = await bench.server(Say("x"), Say("y"))
    for endpoint in ("chat", "completions"):
        await bench.engine(server, endpoint=endpoint).generate(request(), timeout_seconds=20)
    assert all("return_token_ids" not in body for body in server.bodies)
