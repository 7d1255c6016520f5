"""What the OpenAI client sends: every sampling field, the history as it was, no key where none belongs."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
import pytest

from literesearcher.engine import openai_request
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Message, Sampling
from literesearcher.research.rendering import render
from literesearcher.testing.byte_tokenizer import write_byte_tokenizer
from literesearcher.testing.contracts.engine import Say, request
from literesearcher.testing.model_server import Raw, RefuseFields

SAMPLING = Sampling(
    temperature=0.35,
    top_p=0.9,
    top_k=17,
    min_p=0.02,
    presence_penalty=0.8,
    repetition_penalty=1.05,
    stop=("<tool_response>", "STOP"),
    seed=11,
    logprobs=True,
)
WANTED = {
    "temperature": 0.35,
    "top_p": 0.9,
    "top_k": 17,
    "min_p": 0.02,
    "presence_penalty": 0.8,
    "repetition_penalty": 1.05,
    "stop": ["<tool_response>", "STOP"],
    "seed": 11,
    "max_tokens": 321,
}


@pytest.fixture(autouse=True)
def a_process_that_has_warned_of_nothing() -> None:
    openai_request._warn_once.cache_clear()


async def test_every_sampling_field_reaches_a_chat_server(bench) -> None:
    server = await bench.server(Say("x"))
    await bench.engine(server).generate(request(sampling=SAMPLING, max_tokens=321), timeout_seconds=20)
    assert server.paths[-1] == "/v1/chat/completions"
    assert {**WANTED, "logprobs": True}.items() <= server.bodies[0].items()
    assert server.bodies[0]["model"] == "stub-model"
    assert "stream" not in server.bodies[0]


PURPOSES = ("turn", "compress", "extract")


async def ranks(bench, tokenizer_file, endpoint: str, said: dict[str, Any] | None) -> tuple[list[Any], list[str]]:
    """The priorities that a server is sent for the purposes in turn, the last of a job of a higher priority."""
    native = Tokenizer.from_file(tokenizer_file) if endpoint == "generate" else None
    pages = {} if said is None else {"/server_info": said}
    server = await bench.server(*[Say("x")] * 4, native=native, pages=pages)
    options = {"endpoint": "tokens" if native else endpoint, "tokenizer_file": tokenizer_file}
    engine = bench.engine(server, **options)
    for asked in (*(request(purpose=one) for one in PURPOSES), request(priority=3)):
        await engine.generate(asked, timeout_seconds=20)
    return [body.get("priority") for body in server.bodies], server.paths


@pytest.mark.parametrize("endpoint", ["chat", "completions", "tokens", "generate"])
async def test_what_comes_first_is_told_to_a_server_that_schedules_by_it(bench, tmp_path, endpoint: str) -> None:
    write_byte_tokenizer(file := tmp_path / "tokenizer.json")
    sent, paths = await ranks(bench, file, endpoint, {"enable_priority_scheduling": True})
    assert sent[0] > sent[1] > sent[2]
    assert sent[3] > sent[0]
    assert paths.count("/server_info") == 1, "it is asked once"
    low_first = {"enable_priority_scheduling": True, "schedule_low_priority_values_first": True}
    sent, _ = await ranks(bench, file, endpoint, low_first)
    assert sent[3] < sent[0] < sent[1] < sent[2]
    for said in (None, {"enable_priority_scheduling": False}, {"version": "1"}):
        assert (await ranks(bench, file, endpoint, said))[0] == [None] * 4


async def test_nothing_is_sent_that_was_not_asked_for(bench) -> None:
    server = await bench.server(Say("x"))
    await bench.engine(server).generate(request(), timeout_seconds=20)
    assert not {"seed", "logprobs", "stream_options"} & server.bodies[0].keys()


async def test_the_history_goes_out_as_it_came_in(bench) -> None:
    contents = [
        "sys",
        "Question:谁",
        "<think>\n \u2028\U0001f600\n</think>\n",
        '<tool_response>\n"\\\x01\n</tool_response>',
    ]
    roles = ["system", "user", "assistant", "user"]
    messages = tuple(Message(role, content) for role, content in zip(roles, contents, strict=True))
    server = await bench.server(Say("x"))
    engine = bench.engine(server)
    first = request()
    await engine.generate(type(first)("job", messages, Sampling(), 10), timeout_seconds=20)
    assert [one["content"] for one in server.bodies[0]["messages"]] == contents
    assert [one["role"] for one in server.bodies[0]["messages"]] == roles
    # Serialised once a message: the bytes on the wire are the messages' own.
    assert b",".join(message.wire for message in messages) in server.raw_bodies[0]


async def test_streams_only_where_somebody_listens_or_told_to(bench, hear) -> None:
    heard, sink = hear()
    server = await bench.server(*[Say("abc")] * 4)
    await bench.engine(server).generate(request(), timeout_seconds=20, on_delta=sink)
    await bench.engine(server, stream="always").generate(request(), timeout_seconds=20)
    await bench.engine(server, stream="never").generate(request(), timeout_seconds=20, on_delta=sink)
    await bench.engine(server).generate(request(), timeout_seconds=20)
    assert [body.get("stream", False) for body in server.bodies] == [True, True, False, False]
    assert server.bodies[0]["stream_options"] == {"include_usage": True}
    assert "".join(heard) == "abcabc"


@pytest.mark.parametrize(
    ("names", "words", "dropped"),
    [
        (("top_k", "min_p"), "Unrecognized request arguments supplied: min_p, top_k", {"top_k", "min_p"}),
        (("min_p",), "[{'type': 'extra_forbidden', 'loc': ('body', 'min_p'), 'msg': 'Extra inputs'}]", {"min_p"}),
        (("top_k",), "property 'top_k' is unsupported", {"top_k"}),
        (("temperature",), "Unsupported value: 'temperature' does not support 0.35", {"temperature"}),
        (("top_k", "seed"), "extra fields not permitted", {"top_k", "min_p", "repetition_penalty", "seed"}),
    ],
)
async def test_a_refused_field_is_left_out_from_then_on(bench, caplog, names, words, dropped) -> None:
    server = await bench.server(RefuseFields(names, words), Say("one"), Say("two"))
    engine = bench.engine(server)
    with caplog.at_level(logging.WARNING):
        asked = request(sampling=SAMPLING)
        assert (await engine.generate(asked, timeout_seconds=20)).text == "one"
        assert (await engine.generate(asked, timeout_seconds=20)).text == "two"
    fields = set(WANTED) - {"max_tokens"}
    assert [fields - body.keys() for body in server.bodies] == [set(), dropped, dropped]
    assert len(caplog.records) == len(dropped)


async def test_calls_that_are_refused_at_once_are_each_made_again(bench, caplog) -> None:
    """None of them may take the others' knowledge for its own request's: each sent the field itself."""
    refusal = RefuseFields(("top_k", "min_p"), "Extra inputs are not permitted: top_k, min_p")
    server = await bench.server(*[act for number in range(7) for act in (refusal, Say(f"answer {number}"))])
    engine = bench.engine(server)
    await engine.describe()
    asked = request(sampling=SAMPLING)
    with caplog.at_level(logging.WARNING):
        got = await asyncio.gather(*[engine.generate(asked, timeout_seconds=20) for _ in range(6)])
        await bench.engine(server).generate(asked, timeout_seconds=20)
    assert {one.text for one in got} == {f"answer {number}" for number in range(6)}
    assert [("top_k" in body, "min_p" in body) for body in server.bodies[:6]] == [(True, True)] * 6
    assert sum("top_k" in body for body in server.bodies) == 7
    # The second engine learns for itself, and says nothing again.
    assert len(caplog.records) == 2


async def test_fields_refused_one_after_the_other(bench) -> None:
    refusals = [RefuseFields((name,), f"unknown field {name}") for name in ("top_k", "min_p", "repetition_penalty")]
    server = await bench.server(*refusals, Say("at last"))
    assert (await bench.engine(server).generate(request(), timeout_seconds=20)).text == "at last"
    assert len(server.bodies) == 4


@pytest.mark.parametrize("words", ["temperature must be at most 2", "messages: field required", "top_k"])
async def test_a_server_that_goes_on_refusing_is_not_asked_for_ever(bench, words) -> None:
    server = await bench.server(*[Raw(orjson.dumps({"error": {"message": words}}), 400)] * 3)
    with pytest.raises(BoundaryError) as caught:
        await bench.engine(server).generate(request(), timeout_seconds=20)
    assert caught.value.code == "engine_rejected"
    assert len(server.bodies) <= 2


async def test_the_key_goes_to_the_server_and_nowhere_else(bench, caplog) -> None:
    secret = "sk-very-secret-123"
    echo = orjson.dumps({"error": {"message": f"Incorrect API key provided: {secret}"}})
    server = await bench.server(Raw(echo, 401), Raw(echo, 500), Raw(echo, 400), Raw(echo, 200))
    engine = bench.engine(server, api_key=secret)
    with caplog.at_level(logging.DEBUG):
        for _ in range(4):
            with pytest.raises(BoundaryError) as caught:
                await engine.generate(request(), timeout_seconds=20)
            assert secret not in str(caught.value)
    assert secret not in caplog.text
    assert secret not in repr(vars(engine)["_section"])
    assert all(headers["Authorization"] == f"Bearer {secret}" for headers in server.headers)


@pytest.mark.parametrize("opens_thought", [False, True])
async def test_completions_send_our_own_rendering_and_every_field(bench, opens_thought) -> None:
    server = await bench.server(Say("so\n</think>\n<answer>y</answer>"))
    engine = bench.engine(server, endpoint="completions", opens_thought=opens_thought)
    asked = request(sampling=SAMPLING, max_tokens=321)
    got = await engine.generate(asked, timeout_seconds=20)
    assert server.paths[-1] == "/v1/completions"
    assert {**WANTED, "logprobs": 1}.items() <= server.bodies[0].items()
    assert server.bodies[0]["prompt"] == render(asked.messages, opens_thought)
    assert "messages" not in server.bodies[0]
    assert got.opened_thought is opens_thought
