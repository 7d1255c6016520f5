"""What the OpenAI client makes of answers: odd, cut, split, hostile, half."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from literesearcher.engine.openai import MAX_BODY
from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Sampling, Usage
from literesearcher.testing.contracts.engine import Hang, Say, request
from literesearcher.testing.model_server import Drop, Raw, Stream, event, stream_events


def answer(choice: dict, **more) -> Raw:
    return Raw(orjson.dumps({"id": "x", "model": "m", "choices": [{"index": 0, **choice}], **more}))


def deltas(*pieces: dict, reason: str | None = "stop") -> tuple[bytes, ...]:
    events = [event({"choices": [{"delta": piece, "finish_reason": None}]}) for piece in pieces]
    last = [event({"choices": [{"delta": {}, "finish_reason": reason}]}), b"data: [DONE]\n\n"] if reason else []
    return *events, *last


async def generation(bench, act, *, sink=None, sampling=None, **section):
    server = await bench.server(act)
    asked = request(sampling=sampling or Sampling())
    return await bench.engine(server, **section).generate(asked, timeout_seconds=20, on_delta=sink)


async def test_everything_the_server_tells_is_kept(bench) -> None:
    got = await generation(
        bench,
        answer(
            {
                "message": {"content": "hi"},
                "finish_reason": "stop",
                "matched_stop": "<tool_response>",
                "logprobs": {"content": [{"token": "hi", "logprob": -0.25}, {"token": "x", "logprob": None}]},
            },
            system_fingerprint="fp_1",
            usage={"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
        ),
    )
    assert (got.text, got.model, got.matched_stop, got.engine_fingerprint) == ("hi", "m", "<tool_response>", "fp_1")
    assert got.usage == Usage(9, 2, 4)
    assert got.logprobs == (-0.25, -9999.0)


@pytest.mark.parametrize("content", [None, ""])
async def test_no_content_is_an_empty_turn(bench, content) -> None:
    assert (await generation(bench, answer({"message": {"content": content}, "finish_reason": "stop"}))).text == ""


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_a_thought_that_a_parser_split_off_is_put_back(bench, hear, field, streamed) -> None:
    heard, sink = hear()
    whole = answer({"message": {field: "\nfirst\n\nsecond\n", "content": "\n\n<answer>y</answer>"}})
    pieces = [{field: "\nfirst\n"}, {field: "\nsecond"}, {field: "\n"}, {"content": "\n"}, {"content": "\n<answer>y"}]
    act = Stream(deltas(*pieces, {"content": "</answer>"})) if streamed else whole
    got = await generation(bench, act, sink=sink)
    assert got.text == "<think>\nfirst\n\nsecond\n</think>\n<answer>y</answer>"
    assert "".join(heard) == got.text
    assert not got.opened_thought


async def test_a_thought_alone_stays_open(bench) -> None:
    got = await generation(
        bench, answer({"message": {"reasoning_content": "and so", "content": None}, "finish_reason": "length"})
    )
    assert (got.text, got.finish_reason) == ("<think>\nand so", "length")


@pytest.mark.parametrize(
    ("text", "opened"),
    [("so it is\n</think>\nx", True), ("<think>\nso\n</think>\nx", False), ("no thought", False)],
)
async def test_a_turn_that_begins_inside_a_thought_is_known(bench, text, opened) -> None:
    got = await generation(bench, Say(text))
    assert (got.text, got.opened_thought) == (text, opened)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_stop_string_that_the_server_left_in_is_cut(bench, hear, streamed) -> None:
    heard, sink = hear()
    text = "<think>\nx < y\n</think>\n<tool_call>\n{}\n</tool_call>"
    got = await generation(bench, Say(text + "\n<tool_response>\nmade up"), sink=sink if streamed else None)
    assert (got.text, got.finish_reason, got.matched_stop) == (text, "stop", "\n<tool_response>")
    assert "".join(heard) == (text if streamed else "")


async def test_what_only_looked_like_a_stop_string_is_text(bench, hear) -> None:
    heard, sink = hear()
    got = await generation(bench, Say("a\n<tool_resp"), sink=sink)
    assert got.text == "".join(heard) == "a\n<tool_resp"


@pytest.mark.parametrize("streamed", [False, True])
async def test_text_that_no_store_could_hold_is_mended(bench, hear, streamed) -> None:
    heard, sink = hear()
    body = rb'{"choices":[{"%s":{"content":"a\ud800b\u0000c\ud83d\ude00"},"finish_reason":"stop"}]}'
    events = (b"data: " + body % b"delta" + b"\n\n", b"data: [DONE]\n\n")
    act = Stream(events) if streamed else Raw(body % b"message")
    got = await generation(bench, act, sink=sink if streamed else None)
    assert got.text == "a\ufffdb\ufffdc\U0001f600"
    assert "".join(heard) == (got.text if streamed else "")


async def test_broken_utf8_and_nan_are_read(bench) -> None:
    got = await generation(bench, Raw(b'{"choices":[{"message":{"content":"a\xffb"}}],"usage":{"cost":NaN}}'))
    assert got.text == "a\ufffdb"


async def test_a_stream_in_any_cut_reads_the_same(bench, hear) -> None:
    text = "<think>\n两个 \U0001f600\n</think>\nxyz"
    whole = b": comment\r\n\r\n" + b"".join(stream_events(Say(text), chat=True)).replace(b"\n", b"\r\n")
    for size in (1, 3, 1000, len(whole)):
        heard, sink = hear()
        pieces = tuple(whole[at : at + size] for at in range(0, len(whole), size))
        got = await generation(bench, Stream(pieces), sink=sink)
        assert got.text == "".join(heard) == text
        assert got.usage.cached_tokens == 5


async def test_a_server_that_does_not_stream_when_asked_is_heard_all_the_same(bench, hear) -> None:
    heard, sink = hear()
    got = await generation(bench, answer({"message": {"content": "whole"}}), sink=sink)
    assert got.text == "".join(heard) == "whole"


HALF = deltas({"content": "<think>\nhalf a"}, reason=None)


@pytest.mark.parametrize(
    "act",
    [
        Stream(HALF),
        Stream(HALF, drop=True),
        Stream((*HALF, b"data: {broken\n\n")),
        Stream((*HALF, b"data: [1]\n\n")),
        Stream(()),
        Raw(b"", 200),
        Raw(b"null"),
        Raw(b'{"choices":[]}'),
        Raw(b'{"choices":["x"]}'),
        Raw(b'{"choices":[{"message":{"content":{"a":1}}}]}'),
        Raw(b'{"choices":[{"message":{"content":"cut'),
        Raw(b"[" * 100_000),
        Raw(b"\x00\xff\xfe" * 10),
        Raw(b"<html>It works!</html>", 200, "text/html"),
        Drop(b"SSH-2.0-OpenSSH_9.6\r\n"),
        Drop(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nContent-Type: application/json\r\n\r\n{"),
    ],
    ids=lambda act: repr(act)[:60],
)
async def test_half_and_garbage_is_said_to_be_that(bench, hear, act) -> None:
    _, sink = hear()
    with pytest.raises(BoundaryError) as caught:
        await generation(bench, act, sink=sink)
    assert (caught.value.code, caught.value.transient) == ("engine_garbage", True)


async def test_an_answer_without_end_is_given_up(bench) -> None:
    with pytest.raises(BoundaryError, match="more than") as caught:
        await generation(bench, Raw(b" " * (MAX_BODY + 10)))
    assert caught.value.code == "engine_garbage"


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_error_inside_a_200_is_an_error(bench, hear, streamed) -> None:
    _, sink = hear()
    said = {"error": {"message": "CUDA out of memory", "code": 500}}
    act = Stream((*HALF, event(said))) if streamed else Raw(orjson.dumps(said))
    with pytest.raises(BoundaryError, match="CUDA") as caught:
        await generation(bench, act, sink=sink if streamed else None)
    assert (caught.value.code, caught.value.transient) == ("engine_error", True)


async def test_an_aborted_generation_is_an_error(bench) -> None:
    with pytest.raises(BoundaryError) as caught:
        await generation(bench, answer({"message": {"content": "half"}, "finish_reason": "abort"}))
    assert (caught.value.code, caught.value.transient) == ("engine_error", True)


@pytest.mark.parametrize(
    "words",
    [
        "The input (140000 tokens) is longer than the model's context length (131072 tokens).",
        "Requested token count exceeds the model's maximum context length of 131072 tokens.",
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens. Please reduce the "
        "length of the messages or completion.",
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        "the request exceeds the available context size. try increasing the context size",
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens; input is too long",
        "Input length exceeds the maximum allowed length",
    ],
)
async def test_a_prompt_too_long_is_known_by_every_servers_words(bench, words) -> None:
    with pytest.raises(PromptTooLong):
        await generation(bench, Raw(orjson.dumps({"object": "error", "message": words, "code": 400}), 400))


async def test_a_prompt_too_long_is_known_by_openai_s_code_whatever_the_words(bench) -> None:
    said = {"error": {"message": "10 and 20 are more than 25", "code": "context_length_exceeded"}}
    with pytest.raises(PromptTooLong):
        await generation(bench, Raw(orjson.dumps(said), 400))


@pytest.mark.parametrize(
    ("status", "code", "transient"),
    [
        (302, "engine_garbage", False),
        (400, "engine_rejected", False),
        (403, "engine_unauthorized", False),
        (404, "engine_rejected", False),
        (408, "engine_timeout", True),
        (413, "prompt_too_long", False),
        (422, "engine_rejected", False),
        (429, "engine_busy", True),
        (500, "engine_error", True),
        (502, "engine_error", True),
        (503, "engine_busy", True),
        (504, "engine_timeout", True),
    ],
)
async def test_each_status_has_its_meaning(bench, status, code, transient) -> None:
    with pytest.raises(BoundaryError) as caught:
        await generation(bench, Raw(b"<h1>no</h1>", status, "text/html", {"Location": "http://elsewhere.invalid/"}))
    assert (caught.value.code, caught.value.transient) == (code, transient)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("3", 3, 3), ("0", 0, 0), ("-4", None, None), ("Wed, 21 Oct 2037 07:28:00 GMT", 1e6, 1e10), ("soon", None, None)],
)
async def test_retry_after_in_seconds_and_as_a_date(bench, header, low, high) -> None:
    with pytest.raises(BoundaryError) as caught:
        await generation(bench, Raw(b"", 429, headers={"Retry-After": header}))
    after = caught.value.retry_after
    assert after is None if low is None else low <= after <= high


async def test_a_server_that_is_down(bench) -> None:
    with pytest.raises(BoundaryError) as caught:
        await bench.engine("http://127.0.0.1:9/v1", model="m").generate(request(), timeout_seconds=20)
    assert (caught.value.code, caught.value.transient) == ("engine_unreachable", True)


@pytest.mark.parametrize("streamed", [False, True])
async def test_cancelling_closes_the_connection(bench, hear, streamed) -> None:
    _, sink = hear()
    server = await bench.server(Hang())
    engine = bench.engine(server)
    call = asyncio.create_task(engine.generate(request(), timeout_seconds=3600, on_delta=sink if streamed else None))
    while not server.bodies:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(server.closed_early.wait(), 10)


async def test_the_sections_own_timeout_holds_too(bench) -> None:
    server = await bench.server(Hang())
    with pytest.raises(BoundaryError) as caught:
        await bench.engine(server, request_timeout_seconds=0.2).generate(request(), timeout_seconds=3600)
    assert caught.value.code == "engine_timeout"
