"""Model and tool calls: retries, deadlines, streaming, and the form of their results."""

import asyncio
import base64
import struct
from dataclasses import replace

import pytest

from literesearcher.engine.port import EngineInfo, Generation
from literesearcher.errors import BoundaryError, CallLost, PromptTooLong
from literesearcher.jobs.live import Delta
from literesearcher.orchestrator.model_call import ModelCalls
from literesearcher.orchestrator.tool_call import INLINE_CHARACTERS, POLICY, ToolCalls
from literesearcher.research.commands import CallTool, Generate, Respond
from literesearcher.research.events import EffectFailed, TurnCompleted
from literesearcher.research.messages import Message, Sampling, Usage
from literesearcher.settings.sections import EngineSection
from literesearcher.tools.port import ToolResult

BUSY = BoundaryError("busy", code="engine_busy", transient=True)
COMMAND = Generate(
    turn=3,
    kind="turn",
    messages=(Message("user", "q"),),
    sampling=Sampling(seed=7),
    max_tokens=100,
    prefix_epoch=1,
    prompt_tokens=None,
)
GENERATION = Generation(text="<answer>x</answer>", finish_reason="stop", usage=Usage(5, 6), model="m")


class Engine:
    """Plays a list: text pieces are streamed, an error is raised, a Generation ends the call."""

    def __init__(self, *tries: list[object], counts: bool = False) -> None:
        self.tries = list(tries)
        self.requests = []
        self.timeouts: list[float] = []
        self.sinks = []
        self.counts = counts
        self.counted: list[str] = []

    async def describe(self):
        return EngineInfo("openai", "m", 1000)

    async def generate(self, request, *, timeout_seconds, on_delta=None):
        self.requests.append(request)
        self.timeouts.append(timeout_seconds)
        self.sinks.append(on_delta)
        for item in self.tries.pop(0):
            if isinstance(item, Exception):
                raise item
            if isinstance(item, Generation):
                return item
            if on_delta is not None:
                await on_delta(item)
        raise AssertionError("the script ended")

    def count_tokens(self, text):
        if not self.counts:
            return None
        self.counted.append(text)
        return len(text.split())

    async def aclose(self):
        pass


class Ear:
    """Live text as it was published."""

    def __init__(self, listening: bool = True) -> None:
        self.deltas: list[Delta] = []
        self.finished: list[int] = []
        self._listening = listening

    async def publish(self, delta):
        self.deltas.append(delta)

    async def listening(self, job_id):
        return self._listening

    async def finish(self, job_id, turn):
        self.finished.append(turn)

    def heard(self) -> str:
        """The text that a listener ends up with."""
        text = ""
        for delta in self.deltas:
            if delta.kind == "restarted":
                text = ""
            else:
                assert delta.offset == len(text)
                text += delta.text
        return text


def calls(engine, clock, lease, live, *, compressor=None, **section):
    return ModelCalls(
        engine=engine,
        compressor=compressor or engine,
        section=EngineSection(**section),
        live=live,
        clock=clock,
        lease=lease,
    )


async def patiently(coroutine, clock, seconds=400):
    task = asyncio.create_task(coroutine)
    for _ in range(int(seconds)):
        if task.done():
            break
        await clock.advance(1)
    return await task


async def test_a_result_carries_everything_that_the_engine_said(clock, lease):
    generation = replace(
        GENERATION,
        opened_thought=True,
        matched_stop="<tool_response>",
        token_ids=(1, 151_643, 4_294_967_295),
        logprobs=(-0.5, 0.0, -1.0),
        engine_fingerprint="e",
        weights_fingerprint="w",
        replica="r",
        routing="stay",
    )
    engine = Engine([generation])
    held = lease(priority=4)
    command = replace(COMMAND, prompt_tokens=90, last_replica="r", kept_tokens=80)
    result = await calls(engine, clock, held, Ear(listening=False)).generate(command)
    assert isinstance(result, TurnCompleted)
    assert struct.unpack("<3I", base64.b64decode(result.token_ids)) == generation.token_ids
    assert result == TurnCompleted(
        turn=3,
        kind="turn",
        text=generation.text,
        finish_reason="stop",
        usage=Usage(5, 6),
        prefix_epoch=1,
        model="m",
        sampling=COMMAND.sampling,
        opened_thought=True,
        matched_stop="<tool_response>",
        token_ids=result.token_ids,
        logprobs=[-0.5, 0.0, -1.0],
        engine_fingerprint="e",
        weights_fingerprint="w",
        replica="r",
        routing="stay",
    )
    request = engine.requests[0]
    assert (request.program, request.messages, request.sampling) == ("job_1", COMMAND.messages, COMMAND.sampling)
    assert (request.max_tokens, request.turn, request.prefix_epoch, request.priority) == (100, 3, 1, 4)
    assert request.purpose == "turn"
    assert (request.prompt_tokens, request.last_replica, request.kept_tokens) == (90, "r", 80)


async def test_a_busy_engine_is_tried_again_and_the_tries_are_counted(clock, lease):
    engine = Engine([BUSY], [BUSY], [GENERATION])
    result = await patiently(calls(engine, clock, lease(), Ear(False)).generate(COMMAND), clock)
    assert isinstance(result, TurnCompleted)
    assert result.tries == 3


async def test_a_call_lost_with_its_replica_is_made_again_at_once_beyond_the_tries_and_counted(clock, lease):
    engine = Engine([CallLost("gone")], [GENERATION])
    result = await calls(engine, clock, lease(), Ear(False), tries=1).generate(COMMAND)
    assert isinstance(result, TurnCompleted)
    assert (result.tries, result.lost) == (2, 1)


async def test_a_second_loss_is_a_failed_try_like_any_other(clock, lease):
    engine = Engine(*[[CallLost("gone")]] * 9)
    result = await patiently(calls(engine, clock, lease(), Ear(False), tries=1).generate(COMMAND), clock)
    assert result == EffectFailed(turn=3, code="engine_unreachable", message="gone", tries=2)
    assert len(engine.requests) == 2


async def test_tries_end_where_the_section_says(clock, lease):
    engine = Engine(*[[BUSY]] * 9)
    result = await patiently(calls(engine, clock, lease(), Ear(False), tries=3).generate(COMMAND), clock)
    assert result == EffectFailed(turn=3, code="engine_busy", message="busy", tries=3)
    assert len(engine.requests) == 3


async def test_a_refused_prompt_is_not_tried_again(clock, lease):
    engine = Engine([PromptTooLong("too long \ud800" + "x" * 9000)])
    result = await calls(engine, clock, lease(), Ear(False)).generate(COMMAND)
    assert isinstance(result, EffectFailed)
    assert (result.code, result.tries) == ("prompt_too_long", 1)
    result.message.encode()
    assert len(result.message) <= 500


async def test_no_wait_is_begun_that_would_end_past_the_deadline(clock, lease):
    held = lease()
    engine = Engine(*[[BoundaryError("busy", code="engine_busy", transient=True, retry_after=600)]] * 4)
    result = await patiently(calls(engine, clock, held, Ear(False)).generate(COMMAND), clock, 1200)
    assert isinstance(result, EffectFailed)
    assert result.tries == 2
    assert clock.now().timestamp() < held.deadline


async def test_the_engine_gets_no_more_time_than_the_request_timeout_or_the_deadline(clock, lease):
    engine = Engine([GENERATION], [GENERATION])
    held = lease()
    model = calls(engine, clock, held, Ear(False), request_timeout_seconds=600)
    await model.generate(COMMAND)
    await clock.advance(900)
    await model.generate(COMMAND)
    assert engine.timeouts[0] == 600
    assert 100 < engine.timeouts[1] < 110


@pytest.mark.parametrize(
    ("stream", "listening", "streams"),
    [("auto", True, True), ("auto", False, False), ("always", False, True), ("never", True, False)],
)
async def test_it_streams_where_told_or_where_somebody_listens(clock, lease, stream, listening, streams):
    engine = Engine(["<answer>", "x", GENERATION])
    ear = Ear(listening)
    model = calls(engine, clock, lease(), ear, stream=stream)
    await model.generate(COMMAND)
    assert (engine.sinks[0] is not None) is streams
    await model.settle()
    assert ear.finished == ([3] if streams else [])


async def test_a_long_stream_is_heard_whole_in_few_pieces(clock, lease):
    pieces = ["ab "] * 2000
    engine = Engine([*pieces, GENERATION])
    ear = Ear()
    await calls(engine, clock, lease(), ear).generate(COMMAND)
    assert ear.heard() == "ab " * 2000
    assert len(ear.deltas) < 40
    assert {(delta.job_id, delta.turn, delta.attempt) for delta in ear.deltas} == {("job_1", 3, 1)}


async def test_half_a_stream_is_declared_void_before_the_next_try(clock, lease):
    garbage = BoundaryError("half an answer", code="engine_garbage", transient=True)
    engine = Engine(["half ", "of", garbage], ["the ", "whole", GENERATION])
    ear = Ear()
    result = await patiently(calls(engine, clock, lease(), ear).generate(COMMAND), clock)
    assert isinstance(result, TurnCompleted)
    assert ear.heard() == "the whole"
    assert [delta.kind for delta in ear.deltas].count("restarted") == 1


async def test_a_memory_is_compressed_by_the_engine_that_is_named_for_it(clock, lease):
    main, other = Engine([GENERATION]), Engine([replace(GENERATION, text="one sentence", model="small")])
    made = calls(main, clock, lease(), Ear(), compressor=other)
    done = await made.generate(replace(COMMAND, kind="compress"))
    assert (done.text, done.model) == ("one sentence", "small")
    assert ([one.purpose for one in other.requests], main.requests) == (["compress"], [])
    assert (await made.generate(COMMAND)).model == "m"
    assert (len(other.requests), [one.purpose for one in main.requests]) == (1, ["turn"])


async def test_a_compression_is_not_heard_as_the_turn(clock, lease):
    engine = Engine(["a sentence", GENERATION], ["a sentence", GENERATION])
    ear = Ear()
    await calls(engine, clock, lease(), ear).generate(replace(COMMAND, kind="compress"))
    await calls(engine, clock, lease(), ear, stream="always").generate(replace(COMMAND, kind="compress"))
    assert ear.deltas == []
    assert [sink is not None for sink in engine.sinks] == [False, True]


class Tools:
    """Plays a list of results and errors."""

    def __init__(self, *results: ToolResult | Exception) -> None:
        self.results = list(results)
        self.requests = []

    async def call(self, request):
        self.requests.append(request)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


UNREACHABLE = BoundaryError("no proxy", code="tools_unreachable", transient=True)
VISIT = CallTool(turn=2, name="visit", arguments={"url": ["a"], "goal": "b"})


async def test_an_unreachable_proxy_is_tried_again_then_given_up(clock, lease):
    tools = Tools(UNREACHABLE, ToolResult("text"))
    calls_ = ToolCalls(tools=tools, engine=Engine(), clock=clock, lease=lease())
    result = await patiently(calls_.call(VISIT, profile="training"), clock)
    assert (result.text, result.tokens, result.called) == ("text", None, True)
    assert [request.ask.profile for request in tools.requests] == ["training", "training"]
    assert tools.requests[0].arguments == VISIT.arguments
    assert (tools.requests[0].ask.job_id, tools.requests[0].ask.tenant_id) == ("job_1", "default")

    tools = Tools(*[UNREACHABLE] * 99)
    calls_ = ToolCalls(tools=tools, engine=Engine(), clock=clock, lease=lease())
    started = clock.monotonic()
    result = await patiently(calls_.call(VISIT, profile="inference"), clock)
    assert result == EffectFailed(turn=2, code="tools_unreachable", message="no proxy", tries=POLICY.tries)
    assert clock.monotonic() - started > 60  # time for a dead proxy to be started again


async def test_a_call_that_was_lost_is_tried_three_times_and_every_loss_is_paid_for(clock, lease):
    lost = BoundaryError("gone", code="tools_lost", transient=True)
    command = CallTool(turn=2, name="visit", arguments={"url": ["a"], "goal": "b"}, reserve_usd=0.25)
    tools = Tools(lost, UNREACHABLE, UNREACHABLE, lost, ToolResult("text"))
    calls_ = ToolCalls(tools=tools, engine=Engine(), clock=clock, lease=lease())
    result = await patiently(calls_.call(command, profile="inference"), clock)
    assert (result.text, result.cost_usd) == ("text", 0.5)

    tools = Tools(*[lost] * 9)
    calls_ = ToolCalls(tools=tools, engine=Engine(), clock=clock, lease=lease())
    result = await patiently(calls_.call(command, profile="inference"), clock)
    assert result == EffectFailed(turn=2, code="tools_lost", message="gone", tries=3)


async def test_a_spent_quota_is_not_tried_again(clock, lease):
    tools = Tools(BoundaryError("quota", code="quota_spent"))
    result = await ToolCalls(tools=tools, engine=Engine(), clock=clock, lease=lease()).call(VISIT, profile="inference")
    assert (result.code, len(tools.requests)) == ("quota_spent", 1)


@pytest.mark.parametrize("words", [3, INLINE_CHARACTERS])
async def test_what_the_model_reads_is_counted_whatever_its_length(clock, lease, words):
    engine = Engine(counts=True)
    text = "word " * words
    tools = ToolCalls(tools=Tools(ToolResult(text)), engine=engine, clock=clock, lease=lease())
    result = await tools.call(VISIT, profile="inference")
    assert result.tokens == words + 2
    assert text in engine.counted[-1]


async def test_a_response_without_a_tool_says_so(clock, lease):
    tools = ToolCalls(tools=Tools(), engine=Engine(counts=True), clock=clock, lease=lease())
    result = await tools.respond(Respond(turn=2, name="fly", text="Error: Tool fly not found"))
    assert (result.called, result.name, result.text) == (False, "fly", "Error: Tool fly not found")
    assert result.tokens
