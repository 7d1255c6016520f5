"""A journal gone through again: every ending replays clean, and whatever is changed in one is found and named."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from literesearcher.errors import UnfoldableEvent
from literesearcher.jobs.model import Envelope
from literesearcher.research import codec
from literesearcher.research import events as ev
from literesearcher.research.messages import Limits, Usage
from literesearcher.research.replaying import Replay, replay
from literesearcher.testing.machine_run import MachineRun, answer, call, created
from literesearcher.tools.rejoining import rejoined

GOLDEN = Path(__file__).parents[2] / "data" / "journals" / "first_schema.jsonl"


def search_item(query: str) -> ev.ToolItem:
    text = (
        f"A Google search for '{query}' found 1 results:\n\n## Web Results\n1. [T](https://a.example)\n\nabout {query}"
    )
    return ev.ToolItem("search", query, True, text=text, results=[{"title": "T", "url": "https://a.example"}])


def page_item(url: str) -> ev.ToolItem:
    found = "Evidence in page: \nAda\n\nSummary: \nAda.\n\n"
    text = f"The useful information in {url} for user goal g as follows: \n\n{found}"
    return ev.ToolItem("page", url, True, text=text, title="T", extracted={"evidence": "Ada", "summary": "Ada."})


def searched(run: MachineRun, *queries: str) -> None:
    run.turn(call("search", query=list(queries)), usage=Usage(100, 10))
    items = [search_item(query) for query in queries]
    run.tool("\n=======\n".join(item.text for item in items), items=items, tokens=30)


def visited(run: MachineRun, *urls: str) -> None:
    run.turn(call("visit", url=list(urls), goal="g"), usage=Usage(150, 10))
    items = [page_item(url) for url in urls]
    run.tool("\n=======\n".join(item.text for item in items).strip(), items=items, tokens=30)


def answered(**changes: Any) -> MachineRun:
    run = MachineRun.begin(created("Who?", **changes))
    searched(run, "a", "b")
    visited(run, "https://a.example", "https://b.example")
    run.turn("<think>\nno call\n</think>")
    run.respond()
    run.turn(call("browse"))
    run.respond()
    searched(run, "c")
    run.turn(answer("Ada"))
    run.end()
    return run


def conversation() -> MachineRun:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "Who?"},
    ]
    return answered(messages=turns, question_form="label")


def cancelled() -> MachineRun:
    run = MachineRun.begin()
    searched(run, "a")
    run.start_turn()
    run.append(ev.CancelRequested("enough"))
    run.end()
    return run


def cancelled_before_it_began() -> MachineRun:
    run = MachineRun()
    run.append(created())
    run.append(ev.CancelRequested())
    run.end()
    return run


def late() -> MachineRun:
    run = MachineRun.begin(created(deadline_at=50.0))
    searched(run, "a")
    run.append(ev.DeadlineReached(), at=60.0)
    run.end()
    return run


def compressed() -> MachineRun:
    run = MachineRun.begin(created(at_context_limit="compress"), context_length=4_000)
    for query in "abcdef":
        if run.command().kind == "compress":  # type: ignore[union-attr]
            break
        searched(run, query * 2_000)
        run.state = replace(run.state)
    while (command := run.command()).kind == "compress":  # type: ignore[union-attr]
        run.turn("A sentence.", usage=Usage(command.prompt_tokens or 0, 5))  # type: ignore[union-attr]
    run.turn(answer("Ada"))
    run.end()
    return run


def at_the_context_limit() -> MachineRun:
    run = MachineRun.begin(context_length=4_000)
    run.turn(call("search"))
    item = replace(search_item("a"), text="x " * 8_000)
    run.tool(item.text, items=[item], tokens=8_000)
    run.turn(answer("so far"))
    run.end()
    return run


def taken_over_twice() -> MachineRun:
    run = MachineRun.begin()
    searched(run, "a")
    for _ in range(2):
        run.start_turn()
        intent = run.rows[-1]
        run.append(ev.AttemptStarted("other", "openai", "m", 100_000))
        run.append(ev.EffectUnknown(intent.seq, "turn.started", 2))
    run.turn(call("search", query=["b"]))
    run.append(ev.ToolStarted(2, "search", {"query": ["b"]}))
    run.append(ev.AttemptStarted("other", "openai", "m", 100_000))
    run.append(ev.EffectUnknown(len(run.rows) - 1, "tool.started", 2))
    run.tool(search_item("b").text, items=[search_item("b")], tokens=30)
    run.turn(answer("Ada"))
    run.end()
    return run


def failed() -> MachineRun:
    run = MachineRun.begin()
    searched(run, "a")
    run.start_turn()
    run.append(ev.EffectFailed(2, "engine_unreachable", "gone", 4))
    run.end()
    return run


def never_described() -> MachineRun:
    run = MachineRun()
    run.append(created())
    run.append(ev.EffectFailed(0, "engine_unauthorized", "no key"))
    run.end()
    return run


def too_long() -> MachineRun:
    run = MachineRun.begin()
    searched(run, "a")
    while not isinstance(run.command(), type(None)) and hasattr(run.command(), "kind"):
        run.start_turn()
        run.append(ev.EffectFailed(2, "prompt_too_long", "too long"))
    run.end()
    return run


def broken_off() -> MachineRun:
    run = MachineRun.begin()
    searched(run, "a")
    run.append(ev.EffectFailed(1, "internal_error", "ValueError"))
    message = "The platform failed on this job (ValueError); its log has the details."
    run.append(ev.JobEnded("internal_error", "failed", None, [], run.state.usage, "internal_error", message))
    return run


def out_of_turns() -> MachineRun:
    run = MachineRun.begin(created(limits=Limits(max_turns=2)))
    searched(run, "a")
    searched(run, "b")
    run.end()
    return run


def out_of_calls() -> MachineRun:
    run = MachineRun.begin(created(limits=Limits(max_tool_calls=1)))
    searched(run, "a")
    run.turn(call("search", query=["b"]))
    run.end()
    return run


def out_of_budget() -> MachineRun:
    run = MachineRun.begin()
    searched(run, "a")
    run.turn(call("search", query=["b"]))
    run.append(ev.BudgetReached(2, "spent"))
    run.end()
    return run


def priced_and_repeated() -> MachineRun:
    run = MachineRun()
    run.append(created(limits=Limits(max_tool_cost_usd=0.0041)))
    run.append(ev.AttemptStarted("w", "openai", "m", 100_000, prices={"search": 0.001}, repeats="journal"))
    for queries in (["a"], ["a"], ["b", "c"], ["d", "e"]):
        run.turn(call("search", query=queries))
        command = run.command()
        if isinstance(getattr(command, "event", None), ev.JobEnded):
            break
        items = [search_item(query) for query in queries]
        text = "\n=======\n".join(item.text for item in items)
        arguments = {"query": queries}
        if command.repeats_seq is not None:  # type: ignore[union-attr]
            done = ev.ToolCompleted(command.turn, "search", arguments, text, repeats_seq=command.repeats_seq)  # type: ignore[union-attr]
            run.append(done)
            continue
        run.append(ev.ToolStarted(command.turn, "search", arguments, command.reserve_usd))  # type: ignore[union-attr]
        reserved = command.reserve_usd  # type: ignore[union-attr]
        run.append(
            ev.ToolCompleted(
                command.turn,  # type: ignore[union-attr]
                "search",
                arguments,
                text,
                items=items,
                cost_usd=reserved,
                reserved_usd=reserved,
            )
        )
    assert run.end().stop_reason == "exceed_max_tool_cost"
    return run


def no_evidence() -> MachineRun:
    run = MachineRun.begin()
    run.turn("<think>\nnothing\n</think>\n", finish_reason="no_evidence")
    run.end()
    return run


def training() -> MachineRun:
    run = MachineRun.begin(created(profile="training"))
    run.turn(call("search", query=["a", "b"]))
    items = [search_item("a"), search_item("b")]
    run.tool("\n\n=======\n\n".join(item.text for item in items), items=items, tokens=30)
    run.turn("<think>\nonly a thought")
    run.end()
    return run


JOURNALS: list[Callable[[], MachineRun]] = [
    answered,
    conversation,
    cancelled,
    cancelled_before_it_began,
    late,
    compressed,
    at_the_context_limit,
    taken_over_twice,
    failed,
    never_described,
    too_long,
    broken_off,
    out_of_turns,
    out_of_calls,
    out_of_budget,
    priced_and_repeated,
    no_evidence,
    training,
]


def envelopes(events: Iterable[ev.Event]) -> list[Envelope]:
    """As a store gives them: through JSON and back. An instant a second."""
    rows = []
    for seq, event in enumerate(events, start=1):
        payload = orjson.loads(codec.encode(event))
        decoded = codec.decode(event.type, event.version, payload)
        at = datetime.fromtimestamp(seq, UTC)
        rows.append(Envelope("job_1", seq, event.type, event.version, at, 1, 1, decoded, payload))
    return rows


def journal(run: MachineRun) -> list[Envelope]:
    rows = envelopes(row.event for row in run.rows if row.event is not None)
    return [replace(envelope, at=row.at) for envelope, row in zip(rows, run.rows, strict=True)]


def changed(rows: list[Envelope], index: int, **fields: Any) -> list[Envelope]:
    """The journal with other fields in one event."""
    envelope = rows[index]
    assert envelope.event is not None
    event = replace(envelope.event, **fields)  # type: ignore[type-var]
    payload = orjson.loads(codec.encode(event))
    return [*rows[:index], replace(envelope, event=event, payload=payload), *rows[index + 1 :]]


def first(found: Replay) -> tuple[int, str]:
    assert found.divergences, "nothing was found"
    return found.divergences[0].seq, found.divergences[0].type


@pytest.mark.parametrize("make", JOURNALS, ids=lambda make: make.__name__)
def test_every_ending_replays_clean(make: Callable[[], MachineRun]) -> None:
    run = make()
    found = replay(journal(run), rejoined)
    assert found.divergences == []
    assert found.ended
    assert found.last_seq == len(run.rows)
    assert (found.turns, found.tool_calls) == (run.state.usage.turns, run.state.usage.tool_calls)


@pytest.mark.parametrize("make", JOURNALS, ids=lambda make: make.__name__)
def test_a_journal_cut_anywhere_replays_clean_so_far(make: Callable[[], MachineRun]) -> None:
    rows = journal(make())
    for length in range(1, len(rows)):
        found = replay(rows[:length], rejoined)
        assert (found.divergences, found.ended, found.last_seq) == ([], False, length)


@pytest.mark.parametrize("make", JOURNALS, ids=lambda make: make.__name__)
def test_an_event_that_is_missing_twice_or_elsewhere_is_named(make: Callable[[], MachineRun]) -> None:
    rows = journal(make())
    for at in range(1, len(rows)):
        assert first(replay([*rows[: at - 1], *rows[at:]]))[0] == at + 1
        assert first(replay([*rows[:at], rows[at - 1], *rows[at:]]))[0] == at
        swapped = [*rows[: at - 1], rows[at], rows[at - 1], *rows[at + 1 :]]
        assert first(replay(swapped))[0] == at + 1


def renumbered(rows: list[Envelope]) -> list[Envelope]:
    return [replace(row, seq=seq) for seq, row in enumerate(rows, start=1)]


def test_a_repeated_call_that_counts_otherwise_shows_in_the_end() -> None:
    rows = journal(priced_and_repeated())
    index = next(at for at, row in enumerate(rows) if getattr(row.event, "repeats_seq", None) is not None)
    assert first(replay(changed(rows, index, called=False), rejoined)) == (len(rows), "job.ended")


COMES_FROM_OUTSIDE = (ev.AttemptStarted, ev.CancelRequested, ev.DeadlineReached, ev.EffectFailed)


@pytest.mark.parametrize("make", JOURNALS, ids=lambda make: make.__name__)
def test_a_forged_order_is_found_though_the_numbers_are_right(make: Callable[[], MachineRun]) -> None:
    rows = journal(make())
    for at in range(2, len(rows)):
        one, other = rows[at - 1], rows[at]
        if isinstance(one.event, COMES_FROM_OUTSIDE) or isinstance(other.event, COMES_FROM_OUTSIDE):
            continue
        found = replay(renumbered([*rows[: at - 1], other, one, *rows[at + 1 :]]), rejoined)
        assert first(found)[0] in (at, at + 1)
    without = [row for row in rows if not isinstance(row.event, ev.TurnCompleted)]
    if len(without) < len(rows):
        assert replay(renumbered(without), rejoined).divergences


DECIDED: dict[type[Any], tuple[str, ...]] = {
    ev.TurnStarted: ("turn", "kind", "prefix_epoch", "max_tokens", "prompt_tokens"),
    ev.TurnCompleted: ("turn", "kind", "prefix_epoch", "sampling"),
    ev.ToolStarted: ("turn", "name", "arguments", "reserved_usd"),
    ev.ToolCompleted: ("turn", "name", "arguments", "text", "items", "called", "reserved_usd", "repeats_seq"),
    ev.EffectUnknown: ("intent_seq", "intent_type", "turn"),
    ev.JobEnded: ("stop_reason", "status", "output_text", "citations", "usage", "error_code", "error_message"),
}


def other(event: Any, name: str) -> Any:
    """Another value of the field."""
    value = getattr(event, name)
    if name == "kind":
        return "context_answer" if value == "turn" else "turn"
    if name == "stop_reason":
        return "exceed_max_turns" if value != "exceed_max_turns" else "answer"
    if name == "status":
        return "failed" if value != "failed" else "completed"
    if name == "sampling":
        return replace(value, temperature=value.temperature + 0.25)
    if name == "usage":
        return replace(value, tool_calls=value.tool_calls + 1)
    if name == "citations":
        return [] if value else [ev.Citation("https://forged.example", "t", "q", 1)]
    if name == "items":
        return [*value[:-1], replace(value[-1], text=value[-1].text + "!")] if value else None
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, dict):
        return {**value, "forged": 1}
    return (value or "") + "!" if name != "repeats_seq" else 1


@pytest.mark.parametrize("make", JOURNALS, ids=lambda make: make.__name__)
def test_every_decided_field_that_is_changed_is_found_at_its_event(make: Callable[[], MachineRun]) -> None:
    rows = journal(make())
    for index, row in enumerate(rows):
        for name in DECIDED.get(type(row.event), ()):
            value = other(row.event, name)
            if value is None:
                continue
            if name == "called" and row.event.repeats_seq is not None:
                continue  # Only its count in the end is the machine's.
            if make is broken_off and isinstance(row.event, ev.JobEnded) and name not in ("stop_reason", "status"):
                continue
            if name == "text" and not row.event.items and row.event.called and row.event.repeats_seq is None:
                continue  # Nothing is recorded that this text could be made of again.
            found = replay(changed(rows, index, **{name: value}), rejoined)
            assert first(found) == (row.seq, row.type), name


def test_a_call_that_the_model_did_not_write_is_shown() -> None:
    rows = journal(answered())
    index = next(at for at, row in enumerate(rows) if row.type == "turn.completed")
    found = replay(changed(rows, index, text=call("search", query=["a", "forged"])), rejoined)
    divergence = found.divergences[0]
    assert (divergence.seq, divergence.type) == (index + 2, "tool.started")
    assert '"b"' in divergence.recorded
    assert '"forged"' in divergence.replayed


def test_an_answer_in_place_of_a_call_is_shown_as_the_end_it_would_have_been() -> None:
    rows = journal(answered())
    index = next(at for at, row in enumerate(rows) if row.type == "turn.completed")
    found = replay(changed(rows, index, text=answer("early")), rejoined)
    assert first(found) == (index + 2, "tool.started")
    assert found.divergences[0].replayed.startswith("job.ended\n")
    assert "early" in found.divergences[0].replayed
    assert found.last_seq == index + 2, "what follows cannot be gone through"


@pytest.mark.parametrize("seed", range(40))
def test_random_changes_of_text_that_the_machine_acts_on_are_found(seed: int) -> None:
    chance = random.Random(seed)
    rows = journal(chance.choice([answered, conversation, taken_over_twice, training, compressed])())
    calls = [at for at, row in enumerate(rows) if row.type == "tool.completed" and row.event.items]  # type: ignore[union-attr]
    index = chance.choice(calls)
    text = rows[index].event.text  # type: ignore[union-attr]
    at = chance.randrange(len(text))
    forged = text[:at] + chance.choice(["x\u2060", "", "\u00a0", "\r"]) + text[at + 1 :]
    found = replay(changed(rows, index, text=forged), rejoined)
    assert first(found) == (rows[index].seq, "tool.completed")
    assert (found.divergences[0].recorded, found.divergences[0].replayed) == (forged, text)
    assert len(found.divergences) == 1, "the machine goes on as recorded"


def test_the_order_of_citations_is_no_decision_but_they_are() -> None:
    rows = journal(answered())
    cited = rows[-1].event.citations  # type: ignore[union-attr]
    assert len(cited) == 2
    assert replay(changed(rows, len(rows) - 1, citations=cited[::-1]), rejoined).divergences == []
    for forged in ([cited[0]], [cited[0], replace(cited[1], quote="other")], [*cited, replace(cited[0], seq=1)]):
        assert first(replay(changed(rows, len(rows) - 1, citations=forged), rejoined))[1] == "job.ended"


def test_an_event_of_a_newer_program_is_said() -> None:
    rows = journal(answered())
    with pytest.raises(UnfoldableEvent, match="event 3"):
        replay([*rows[:2], replace(rows[2], event=None), *rows[3:]])


def test_damaged_facts_are_a_divergence_and_no_crash() -> None:
    rows = journal(answered())
    index = next(at for at, row in enumerate(rows) if row.type == "tool.completed")
    item = replace(rows[index].event.items[0], results=[{"title": "without its url"}])  # type: ignore[union-attr]
    found = replay(changed(rows, index, items=[item, *rows[index].event.items[1:]]), rejoined)  # type: ignore[union-attr]
    assert first(found) == (index + 1, "tool.completed")
    assert "KeyError" in found.divergences[-1].what


def test_nothing_is_nothing() -> None:
    assert replay([]) == Replay()
    assert replay(journal(answered())[1:2]).divergences


def test_a_journal_of_the_first_schema_replays_clean() -> None:
    """Written by the program's first version: no tool options, prices, costs or repeats."""
    rows = []
    for line in GOLDEN.read_bytes().splitlines():
        value = orjson.loads(line)
        event = codec.decode(value["type"], value["version"], value["data"])
        at = datetime.fromisoformat(value["at"])
        rows.append(Envelope("job", value["seq"], value["type"], 1, at, 1, 1, event, value["data"]))
    names = {one.name for row in rows for one in dataclasses.fields(row.event)}  # type: ignore[arg-type]
    assert {"tools", "reserved_usd", "prices"} <= names
    assert not any({"tools", "reserved_usd", "prices", "repeats_seq"} & row.payload.keys() for row in rows)
    found = replay(rows, rejoined)
    assert found.divergences == []
    assert (found.turns, found.tool_calls, found.ended) == (4, 2, True)


def test_a_text_that_no_item_gave_is_found_unless_it_is_a_refusal() -> None:
    for text, clean in (("Ada was born in 1815.", False), ("", True), ("Error: search needs 'query'.", True)):
        run = MachineRun.begin()
        run.turn(call("search", query=[]))
        run.tool(text, tokens=3)
        found = replay(journal(run), rejoined)
        assert (found.divergences == []) is clean
        assert clean or first(found) == (len(run.rows), "tool.completed")


@pytest.mark.parametrize(
    ("cost", "reserved", "clean"),
    [(0.003, 0.0, True), (0.003, 0.004, True), (0.011, 0.004, True), (0.007, 0.004, True), (0.004, 0.004, False),
     (0.0, 0.004, False), (-0.001, 0.004, False), (0.004, 0.0, False), (5.0, 0.003, False)],
)  # fmt: skip
def test_a_cost_is_that_of_the_items_and_of_answers_that_were_lost(cost: float, reserved: float, clean: bool) -> None:
    run = MachineRun()
    run.append(created())
    run.append(ev.AttemptStarted("w", "openai", "m", 100_000, prices={"search": reserved / 2}))
    run.turn(call("search", query=["a", "b"]))
    items = [replace(search_item(name), cost_usd=usd) for name, usd in (("a", 0.001), ("b", 0.002))]
    text = "\n=======\n".join(item.text for item in items)
    arguments = {"query": ["a", "b"]}
    run.append(ev.ToolStarted(1, "search", arguments, reserved))
    run.append(ev.ToolCompleted(1, "search", arguments, text, items, cost_usd=cost, reserved_usd=reserved))
    if cost < 0:
        with pytest.raises(ValueError, match="cost_usd"):
            journal(run)
        return
    found = replay(journal(run), rejoined)
    assert (found.divergences == []) is clean
    assert clean or "sum" in found.divergences[0].what


def test_an_answer_of_the_machine_costs_nothing() -> None:
    rows = journal(answered())
    index = next(at for at, row in enumerate(rows) if isinstance(row.event, ev.ToolCompleted) and not row.event.called)
    assert first(replay(changed(rows, index, cost_usd=0.5), rejoined)) == (index + 1, "tool.completed")
