"""SGLang's own route where endpoint `tokens` meets it: what is sent, what is made of the answer, and when it is not."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import orjson
import pytest

from literesearcher.engine.port import GenerationRequest
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Message, Sampling
from literesearcher.research.opening import tool_message
from literesearcher.research.rendering import render
from literesearcher.testing.byte_tokenizer import write_byte_tokenizer
from literesearcher.testing.contracts.engine import Say
from literesearcher.testing.machine_run import call
from literesearcher.testing.model_server import MODEL_INFO, ModelServer, Raw, Stream, event

OPENING = (Message("system", "instructions"), Message("user", "Who? 谁"))
EVERY = Sampling(
    temperature=0.7,
    top_p=0.9,
    top_k=11,
    min_p=0.05,
    presence_penalty=1.2,
    repetition_penalty=1.1,
    stop=("<tool_response>", "\n<tool_response>"),
    seed=7,
    logprobs=True,
)


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    return write_byte_tokenizer(tmp_path / "tokenizer.json")


@pytest.fixture
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.from_file(tokenizer_file)


def turn(*messages: Message, sampling: Sampling = EVERY, **changes: Any) -> GenerationRequest:
    return GenerationRequest("job", messages, sampling, 100, **changes)


def packed(ids: tuple[int, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(ids)}I", *ids)).decode()


def part(text: str, ids: list[int], count: Any, reason: Any = None, **meta: Any) -> dict[str, Any]:
    told = {"finish_reason": reason, "prompt_tokens": 9, "completion_tokens": count, "cached_tokens": 4, **meta}
    return {"text": text, "output_ids": ids, "meta_info": told}


@pytest.mark.parametrize("listened", [False, True])
async def test_every_field_is_sent_and_everything_told_is_kept(
    bench, tokenizer_file, tokenizer, hear, listened: bool
) -> None:
    text = call("search", thought="look 谁")
    server = await bench.server(Say(text), native=tokenizer)
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file, api_key="sk-1", opens_thought=False)
    heard, sink = hear()
    got = await engine.generate(turn(*OPENING), timeout_seconds=20, on_delta=sink if listened else None)
    assert server.paths[-1] == "/generate"
    assert server.headers[-1]["Authorization"] == "Bearer sk-1"
    [body] = server.bodies
    assert tokenizer.decode(body.pop("input_ids")) == render(OPENING, False)
    params = body.pop("sampling_params")
    assert body == {"return_logprob": True} | ({"stream": True} if listened else {})
    assert params.pop("stream_interval", None) == (32 if listened else None)
    assert params == {
        "max_new_tokens": 100,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 11,
        "min_p": 0.05,
        "presence_penalty": 1.2,
        "repetition_penalty": 1.1,
        "stop": ["<tool_response>", "\n<tool_response>"],
        "sampling_seed": 7,
    }
    assert (got.text, got.finish_reason, got.matched_stop, got.model) == (text, "stop", None, "stub-model")
    assert got.token_ids == tuple(number for letter in text for number in tokenizer.encode(letter))
    assert got.logprobs == (-0.25,) * len(got.token_ids)
    assert (got.usage.cached_tokens, got.usage.completion_tokens) == (5, len(got.token_ids) + 1)
    assert (got.opened_thought, got.weights_fingerprint) == (False, "default")
    assert "".join(heard) == (text if listened else "")
    assert len(heard) > 1 or not listened


async def test_the_next_prompt_begins_with_the_last_and_what_was_generated(bench, tokenizer_file, tokenizer) -> None:
    server = await bench.server(Say("so\n</think>\nfirst"), Say("x"), native=tokenizer)
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    got = await engine.generate(turn(*OPENING), timeout_seconds=20)
    assert got.token_ids is not None
    answer = Message("assistant", got.text, got.opened_thought, packed(got.token_ids))
    await engine.generate(turn(*OPENING, answer, tool_message("found", "improved")), timeout_seconds=20)
    first, second = (body["input_ids"] for body in server.bodies)
    assert second[: len(first) + len(got.token_ids)] == [*first, *got.token_ids]
    assert server.paths[-2:] == ["/generate", "/generate"]
    assert len(set(server.paths)) == len(server.paths) - 1, "it is asked once what it is"


async def test_a_stop_string_is_cut_and_its_ids_too(bench, tokenizer_file, tokenizer, hear) -> None:
    kept = list(tokenizer.encode("a call"))
    stop = tokenizer.token("<tool_response>")
    reason = {"type": "stop", "matched": "\n<tool_response>"}
    pieces = [
        event(part("a call\n", [*kept, *tokenizer.encode("\n")], len(kept) + 1)),
        event(part("a call", [*kept, *tokenizer.encode("\n"), stop], len(kept) + 2, reason)),
        b"data: [DONE]\n\n",
    ]
    server = await bench.server(Stream(tuple(pieces)), native=tokenizer)
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    heard, sink = hear()
    got = await engine.generate(turn(*OPENING), timeout_seconds=20, on_delta=sink)
    assert (got.text, got.matched_stop, "".join(heard)) == ("a call", "\n<tool_response>", "a call")
    assert got.token_ids == tuple(kept)


async def test_a_server_that_streams_only_what_is_new(bench, tokenizer_file, tokenizer, hear) -> None:
    words = ["one ", "two ", "three"]
    ids = [tokenizer.encode(word) for word in words]
    counts = [len(ids[0]), len(ids[0] + ids[1]), len(ids[0] + ids[1] + ids[2])]
    logprobs = [[[-float(at), one, None] for one in ids[at]] for at in range(3)]
    pieces = [
        event(part(words[at], ids[at], counts[at], {"type": "length"} if at == 2 else None,
                   output_token_logprobs=logprobs[at]))
        for at in range(3)
    ]  # fmt: skip
    server = await bench.server(Stream((*pieces, b"data: [DONE]\n\n")), native=tokenizer)
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    heard, sink = hear()
    got = await engine.generate(turn(*OPENING), timeout_seconds=20, on_delta=sink)
    assert (got.text, got.finish_reason, "".join(heard)) == ("one two three", "length", "one two three")
    assert got.token_ids == tuple(number for one in ids for number in one)
    assert got.logprobs == (*[0.0] * 4, *[-1.0] * 4, *[-2.0] * 5)


@pytest.mark.parametrize("ids", [["a"], [-1], [2**40], "ids", [True], None, [9, 9]])
@pytest.mark.parametrize("logprobs", [None, "x", [[None, 1, None]], [["x"]], [[]], [3]])
async def test_ids_and_logprobs_that_are_none_are_done_without(bench, tokenizer_file, tokenizer, ids, logprobs) -> None:
    answer = part("a text longer than a seam", ids, 3, {"type": "stop", "matched": 7}, output_token_logprobs=logprobs)
    server = await bench.server(Raw(orjson.dumps(answer)), native=tokenizer)
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    got = await engine.generate(turn(*OPENING), timeout_seconds=20)
    assert (got.text, got.token_ids, got.finish_reason) == ("a text longer than a seam", None, "stop")
    assert all(isinstance(one, float) for one in got.logprobs or ())
    orjson.dumps(got.logprobs)


REFUSALS: list[tuple[Any, str, bool]] = [
    (Raw(b'{"error":{"message":"The input (900 tokens) is longer than the model\'s context length (500)."}}', 400),
     "prompt_too_long", False),
    (Raw(b'{"error":{"message":"top_p must be in (0, 1], got 2."}}', 400), "engine_rejected", False),
    (Raw(orjson.dumps(part("", [], 0, {"type": "abort", "message": "queue is full", "status_code": 503}))),
     "engine_busy", True),
    (Raw(b'{"text": "half", "output_ids": [1], "meta_info": {"completion_tokens": 1}}'), "engine_garbage", True),
    (Raw(b'{"text": null}'), "engine_garbage", True),
    (Raw(b"[]"), "engine_garbage", True),
    (Raw(orjson.dumps(part("a", [1], "many", {"type": "stop"}))), "engine_garbage", True),
    (Raw(orjson.dumps(part("a", [1], 1, "stop"))), "engine_garbage", True),
    (Stream((event({"error": {"message": "top_p must be in (0, 1]", "code": 400}}),)), "engine_rejected", False),
    (Stream((event(part("half", [1], 1)),)), "engine_garbage", True),
    (Stream((event(part("half", [1], 1)),), drop=True), "engine_garbage", True),
]  # fmt: skip


@pytest.mark.parametrize(("act", "code", "transient"), REFUSALS)
async def test_what_goes_wrong_is_attributed(
    bench, tokenizer_file, tokenizer, hear, act: Any, code: str, transient: bool
) -> None:
    server = await bench.server(act, Say("again"), native=tokenizer)
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    _, sink = hear()
    with pytest.raises(BoundaryError) as raised:
        await engine.generate(turn(*OPENING), timeout_seconds=20, on_delta=sink)
    assert (raised.value.code, raised.value.transient) == (code, transient)
    assert isinstance(raised.value, PromptTooLong) is (code == "prompt_too_long")
    assert (await engine.generate(turn(*OPENING), timeout_seconds=20)).text == "again"


@pytest.mark.parametrize(
    "pages",
    [
        {"/model_info": {"model_path": "m", "is_generation": False}},
        {"/model_info": {"build": 7}},
        {"/model_info": [1], "/get_model_info": MODEL_INFO},
        {"/get_server_info": MODEL_INFO},
    ],
)
async def test_another_server_gets_its_ids_by_completions(bench, tokenizer_file, tokenizer, pages: Any) -> None:
    server = await bench.server(Say("x"), pages=pages)
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    await engine.generate(turn(*OPENING), timeout_seconds=20)
    assert server.paths[-1] == "/v1/completions"
    assert tokenizer.decode(server.bodies[0]["prompt"]) == render(OPENING, True)


async def test_an_older_server_says_it_under_its_older_name(bench, tokenizer_file, tokenizer) -> None:
    server = await bench.server(Say("x"), native=tokenizer)
    server.pages = {"/get_model_info": MODEL_INFO}
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    await engine.generate(turn(*OPENING), timeout_seconds=20)
    assert server.paths[-1] == "/generate"


async def test_a_proxy_that_shows_the_page_and_not_the_route(bench, tokenizer_file, tokenizer) -> None:
    server = await bench.server(Say("x"), Say("y"), pages={"/model_info": MODEL_INFO})
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    for expected in ("x", "y"):
        assert (await engine.generate(turn(*OPENING), timeout_seconds=20)).text == expected
    assert server.paths.count("/v1/completions") == 2


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
async def test_other_endpoints_stay_what_they_are(bench, tokenizer_file, tokenizer, endpoint: str) -> None:
    server = await bench.server(Say("x"), native=tokenizer)
    engine = bench.engine(server, endpoint=endpoint, tokenizer_file=tokenizer_file)
    await engine.generate(turn(*OPENING), timeout_seconds=20)
    assert "/generate" not in server.paths


async def test_another_model_s_ids_never_reach_the_server(bench, tokenizer_file, tokenizer) -> None:
    server: ModelServer = await bench.server(Say("x"), native=tokenizer)
    engine = bench.engine(server, endpoint="tokens", tokenizer_file=tokenizer_file)
    foreign = Message("assistant", "A", True, packed((65, tokenizer.size)))
    with pytest.raises(BoundaryError) as raised:
        await engine.generate(turn(*OPENING, foreign, Message("user", "go on")), timeout_seconds=20)
    assert (raised.value.code, raised.value.transient) == ("engine_rejected", False)
    assert server.bodies == []
    assert tokenizer.size == 267
