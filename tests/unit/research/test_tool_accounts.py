"""What a job's tool calls cost and repeat, decided by the machine from its journal alone."""

from __future__ import annotations

from typing import Any

import pytest

from literesearcher.research import machine
from literesearcher.research.commands import CallTool, End, Generate
from literesearcher.research.events import (
    AttemptStarted,
    BudgetReached,
    CancelRequested,
    EffectUnknown,
    ToolCompleted,
    ToolItem,
    ToolStarted,
)
from literesearcher.research.messages import Limits, Usage
from literesearcher.research.tool_accounts import canonical_call, item_count, reserve_usd, sum_usd
from literesearcher.testing.machine_run import MachineRun, answer, call, created

PRICES = {"search": 0.001, "visit": 0.0005}


def begin(*, repeats: Any = "fetch", **limits: Any) -> MachineRun:
    run = MachineRun()
    run.append(created(limits=Limits(**limits)))
    run.append(AttemptStarted("w", "openai", "m", 131_072, prices=PRICES, repeats=repeats))
    return run


def intent(run: MachineRun) -> CallTool:
    command = run.command()
    assert isinstance(command, CallTool), command
    run.append(ToolStarted(command.turn, command.name, command.arguments, command.reserve_usd))
    return command


def done(run: MachineRun, command: CallTool, cost: float, *, ok: bool = True) -> None:
    items = [ToolItem("search", "q", ok=ok, text="found", cost_usd=cost)]
    run.append(
        ToolCompleted(
            command.turn,
            command.name,
            command.arguments,
            "found",
            items,
            cost_usd=cost,
            reserved_usd=command.reserve_usd,
        )
    )


def test_a_call_counts_from_its_intent_and_costs_what_its_result_says() -> None:
    run = begin()
    run.turn(call(query=["a", "b", "c"]))
    command = intent(run)
    assert command.reserve_usd == 0.003
    assert run.state.usage.tool_cost_usd == 0.003
    done(run, command, 0.001)
    assert run.state.usage.tool_cost_usd == 0.001


def test_a_call_without_a_result_keeps_its_reserve() -> None:
    """Lost in a crash and made again: both count. Closed by a cancel: it counts."""
    run = begin()
    run.turn(call(query=["a"]))
    intent(run)
    run.append(EffectUnknown(intent_seq=len(run.rows), intent_type="tool.started", turn=1))
    done(run, intent(run), 0.001)
    assert run.state.usage.tool_cost_usd == 0.002
    run.turn(call(query=["b", "c"]))
    intent(run)
    run.append(CancelRequested())
    ended = run.end()
    assert (ended.stop_reason, ended.usage.tool_cost_usd) == ("cancelled", 0.004)
    assert machine.fold(run.rows) == run.state


def test_the_job_ends_before_the_call_that_could_pass_its_limit() -> None:
    """What was reserved and not spent is free again; sums of thousandths stay exact."""
    run = begin(max_tool_cost_usd=0.003)
    for _ in range(2):
        run.turn(call(query=["a"]))
        done(run, intent(run), 0.001)
    run.turn(call(query=["a"]))
    done(run, intent(run), 0.0)
    run.turn(call(query=["a"]))
    done(run, intent(run), 0.001)
    run.turn("so far: nothing" + call(query=["a"]))
    ended = run.end()
    assert (ended.stop_reason, ended.status) == ("exceed_max_tool_cost", "incomplete")
    assert (ended.usage.tool_calls, ended.usage.tool_cost_usd) == (4, 0.003)


def test_nothing_may_be_spent_and_nothing_costs_anything() -> None:
    run = begin(max_tool_cost_usd=0.0)
    run.append(AttemptStarted("w", "openai", "m", 131_072))
    run.turn(call(query=["a"]))
    done(run, intent(run), 0.0)
    run.append(AttemptStarted("w", "openai", "m", 131_072, prices=PRICES))
    run.turn(call(query=["a"]))
    assert isinstance(run.command(), End)


def test_a_repeated_call_is_answered_from_the_journal() -> None:
    """Also where its money is spent, and after another process folded the journal; by meaning, not by spelling."""
    run = begin(repeats="journal", max_tool_cost_usd=0.001)
    run.turn(call(query="a"))
    done(run, intent(run), 0.001)
    first = len(run.rows)
    run.turn(call(query=["a", " "], why="again"))
    run.state = machine.fold(run.rows)
    command = run.command()
    assert isinstance(command, CallTool)
    assert (command.repeats_seq, command.reserve_usd) == (first, 0.0)
    run.append(ToolCompleted(command.turn, "search", command.arguments, "found", repeats_seq=first))
    assert (run.state.usage.tool_calls, run.state.usage.tool_cost_usd) == (2, 0.001)
    assert run.state.messages[-1] == run.state.messages[-3]
    run.turn(call(query=["a"]))
    again = run.command()
    assert isinstance(again, CallTool)
    assert again.repeats_seq == first
    run.state = machine.apply(run.state, AttemptStarted("w", "openai", "m", 131_072), seq=99, at=99.0)
    fetched = run.command()
    assert isinstance(fetched, CallTool)
    assert fetched.repeats_seq is None


@pytest.mark.parametrize("ok", [True, False])
def test_a_call_that_failed_in_an_item_is_made_again(ok: bool) -> None:
    run = begin(repeats="journal")
    run.turn(call(query=["a"]))
    done(run, intent(run), 0.001, ok=ok)
    run.turn(call(query=["a"]))
    command = run.command()
    assert isinstance(command, CallTool)
    assert (command.repeats_seq is not None) == ok


def test_a_spent_budget_ends_the_job_with_what_it_has() -> None:
    run = begin()
    run.turn("Perhaps forty-two." + call(query=["a"]))
    run.append(BudgetReached(1, "spent"))
    ended = run.end()
    assert (ended.stop_reason, ended.status, ended.output_text) == ("budget_spent", "incomplete", "Perhaps forty-two.")
    assert ended.error_code is None


def test_tokens_that_no_server_counted_are_estimates_and_said_to_be() -> None:
    run = begin()
    first = run.turn(call(query=["a"]), usage=Usage(1000, 50))
    done(run, intent(run), 0.0)
    second = run.turn(answer("42"))
    usage = run.end().usage
    assert isinstance(first, Generate)
    assert (usage.turns, usage.estimated_turns) == (2, 1)
    assert second.prompt_tokens is not None
    assert second.prompt_tokens > 1050
    assert usage.prompt_tokens == 1000 + second.prompt_tokens
    assert usage.completion_tokens > 50


@pytest.mark.parametrize(
    ("name", "arguments", "count"),
    [
        ("search", {"query": ["a", "b"]}, 2),
        ("search", {"query": "a"}, 1),
        ("search", {"query": []}, 1),
        ("search", {}, 1),
        ("visit", {"url": ["a"] * 50, "goal": "g"}, 50),
        ("visit", {"url": {"a": 1}}, 1),
        ("other", {"query": ["a", "b"]}, 1),
    ],
)
def test_items_of_a_call(name: str, arguments: dict[str, object], count: int) -> None:
    assert item_count(name, arguments) == count
    assert reserve_usd({"search": 0.1, "visit": 0.1}, name, arguments) == (
        0 if name == "other" else sum_usd(*[0.1] * count)
    )


def test_calls_that_mean_the_same() -> None:
    assert canonical_call("visit", {"url": "u", "goal": "g"}) == canonical_call("visit", {"goal": "g", "url": ["u"]})
    others = [
        canonical_call("visit", {"url": ["u"], "goal": "h"}),
        canonical_call("visit", {"url": ["u", "v"], "goal": "g"}),
        canonical_call("visit", {"url": ["v", "u"], "goal": "g"}),
        canonical_call("search", {"query": ["u"]}),
        canonical_call("search", {"query": ["\ud800", 10**40]}),
    ]
    assert len(set(others)) == len(others)
