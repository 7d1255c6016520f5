"""Whatever a model, its server and its tools do: the agent ends, keeps its prefixes, and goes on from any cut."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from literesearcher.research import machine
from literesearcher.research.commands import CallTool, End, Generate, Respond
from literesearcher.research.events import (
    STATUS_BY_STOP_REASON,
    CancelRequested,
    DeadlineReached,
    EffectFailed,
    EffectUnknown,
    Event,
    ToolItem,
    TurnStarted,
)
from literesearcher.research.messages import Limits, Message, Usage
from literesearcher.research.replaying import replay
from literesearcher.testing.machine_run import MachineRun, answer, call, created


@dataclasses.dataclass(frozen=True)
class Row:
    """A row with its payload."""

    seq: int
    at: datetime
    event: Event
    payload: dict[str, Any]


TEXTS = st.sampled_from(
    [
        call("search", query=["a"]),
        call("search", query=["b"]),
        call("visit", url=["https://a.example"], goal="g"),
        call("visit", url="https://b.example", goal="g"),
        call("nothing"),
        "<think>\nt\n</think>\n<tool_call>\nnope\n</tool_call>",
        "",
        "<think>\nonly a thought",
        "t\n</think>\nA remark.",
    ]
)
ITEMS = [ToolItem("page", "https://a.example", True, text="Ada")]


@st.composite
def runs(draw: st.DrawFn) -> MachineRun:
    """A job that is driven to its end, with failures, crashes and refusals on the way."""
    context = draw(st.sampled_from([2_048, 6_000, 20_000]))
    run = MachineRun.begin(
        created(
            at_context_limit=draw(st.sampled_from(["answer", "compress"])),
            profile=draw(st.sampled_from(["inference", "inference", "inference", "training"])),
            limits=Limits(
                max_turns=12,
                max_tool_calls=draw(st.sampled_from([None, 6])),
                max_tokens=draw(st.none() | st.integers(1, 60_000)),
            ),
        ),
        context_length=context,
    )
    for _ in range(400):
        command = run.command()
        if isinstance(command, End):
            run.end()
            return run
        fate = draw(st.integers(0, 49))
        if fate == 49:
            run.append(draw(st.sampled_from([CancelRequested(), DeadlineReached()])))
            continue
        if isinstance(command, Respond):
            run.respond()
        elif isinstance(command, CallTool):
            run.tool("result", items=ITEMS, tokens=draw(st.integers(0, context // 2)))
        else:
            assert isinstance(command, Generate)
            if fate in (44, 45):
                run.start_turn()
                run.append(EffectUnknown(len(run.rows), TurnStarted.type, command.turn))
            elif fate in (46, 47, 48):
                run.start_turn()
                run.append(EffectFailed(command.turn, "prompt_too_long", "too long"))
            elif command.kind == "context_answer":
                run.turn(draw(st.sampled_from([answer("so far"), "no form"])))
            else:
                text = "A sentence." if command.kind == "compress" else draw(TEXTS)
                known = draw(st.booleans())
                usage = (
                    Usage(command.prompt_tokens or 0, draw(st.integers(1, command.max_tokens))) if known else Usage()
                )
                run.turn(text, usage=usage, finish_reason=draw(st.sampled_from(["stop", "length"])))
    raise AssertionError("the job does not end")


@settings(max_examples=150, deadline=None)
@given(runs())
def test_any_job_ends_and_can_be_taken_up_at_any_event(run: MachineRun):
    state = machine.initial()
    for count, row in enumerate(run.rows, 1):
        assert row.event is not None
        state = machine.apply(state, row.event, seq=row.seq, at=row.at.timestamp())
        command = machine.decide(state)
        if count % 7 == 0 or count == len(run.rows):
            assert machine.fold(run.rows[:count]) == state
        if state.pending_intent is not None:
            seq, intent = state.pending_intent
            crashed = machine.apply(
                state, EffectUnknown(seq, intent.type, intent.turn), seq=row.seq + 1, at=row.at.timestamp()
            )
            assert machine.decide(crashed) == command
    ended = run.rows[-1].event
    assert ended.status == STATUS_BY_STOP_REASON[ended.stop_reason]
    assert (ended.output_text is None) or ended.output_text.strip()
    assert ended.usage.turns <= 12
    assert machine.decide(state) is None


@settings(max_examples=100, deadline=None)
@given(runs())
def test_any_job_replays_clean(run: MachineRun):
    rows = [Row(row.seq, row.at, row.event, dataclasses.asdict(row.event)) for row in run.rows]
    found = replay(rows)
    assert found.divergences == []
    assert found.ended


@settings(max_examples=150, deadline=None)
@given(runs())
def test_within_an_epoch_every_prompt_extends_the_one_before(run: MachineRun):
    epoch, sent, generated = -1, (), None
    prompts = iter(run.prompts)
    for row in run.rows:
        if type(row.event).__name__ == "TurnCompleted" and row.event.kind == "turn":
            generated = Message("assistant", row.event.text)
        if not isinstance(row.event, TurnStarted):
            continue
        command = next(prompts)
        assert command.prefix_epoch >= epoch
        if command.prefix_epoch == epoch:
            assert command.messages == sent or command.messages[: len(sent) + 1] == (*sent, generated)
            assert all(a is b for a, b in zip(command.messages, sent, strict=False) if a.role == "assistant")
        epoch, sent = command.prefix_epoch, command.messages
