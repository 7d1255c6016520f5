"""Events survive JSON; what a newer writer wrote is refused, what it added is let be."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from literesearcher.errors import UnfoldableEvent
from literesearcher.research import codec, events
from literesearcher.research.field_types import MAX_NUMBER
from literesearcher.research.messages import Usage
from literesearcher.testing.machine_run import created

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize("event_type", events.EVENT_TYPES)
@settings(deadline=None)
@given(data=st.data())
def test_round_trip(event_type: type, data: st.DataObject):
    def build(target: type) -> st.SearchStrategy[object]:
        return st.builds(target)

    st.register_type_strategy(str, TEXT)
    st.register_type_strategy(float, st.floats(0.0, MAX_NUMBER))
    st.register_type_strategy(int, st.integers(-(2**53), 2**53))
    st.register_type_strategy(dict, st.dictionaries(TEXT, TEXT, max_size=3))
    event = data.draw(build(event_type))
    if getattr(event, "settings", None) or getattr(event, "arguments", None):
        # Free-form JSON: what went through JSON once is what comes back.
        event = codec.decode(event.type, event.version, orjson.loads(codec.encode(event)))
    assert codec.decode(event.type, event.version, orjson.loads(codec.encode(event))) == event


def test_unknown_types_and_versions():
    for type_, version in (("turn.completed", 99), ("plan.drawn", 1)):
        with pytest.raises(UnfoldableEvent, match=type_):
            codec.decode(type_, version, {})


def test_fields_of_newer_writers_are_let_be_and_missing_ones_take_their_default():
    event = created()
    payload = orjson.loads(codec.encode(event))
    payload["colour"] = "blue"
    payload["sampling"]["colour"] = "blue"
    del payload["prompt_digests"]
    read = codec.decode(event.type, 1, payload)
    assert isinstance(read, events.JobCreated)
    assert (read.prompt_digests, read.sampling) == ({}, event.sampling)


def test_usage_of_extraction_comes_back():
    event = events.ToolCompleted(1, "visit", {}, "t", [events.ToolItem("page", "u", True, usage=Usage(3, 4))])
    assert codec.decode(event.type, 1, orjson.loads(codec.encode(event))) == event


@pytest.mark.parametrize(
    "payload",
    [{}, [], {"turn": 1, "usage": 3}, {"turn": 1, "name": "visit", "arguments": {}, "text": "", "items": [1]}],
)
def test_damaged_payloads_are_named(payload: object):
    for type_ in ("turn.completed", "tool.completed"):
        with pytest.raises(ValueError, match=f"damaged {type_}"):
            codec.decode(type_, 1, payload)


def payload_of(event: events.Event) -> dict[str, Any]:
    return orjson.loads(codec.encode(event))


STARTED = payload_of(events.ToolStarted(1, "search", {"query": ["q"]}, 0.5))
ITEM = events.ToolItem("search", "q", True, results=[{"title": "t", "url": "u"}], tried=[events.ToolTry("p", "ok")])
COMPLETED = payload_of(events.ToolCompleted(1, "search", {}, "t", [ITEM]))
TURN = payload_of(events.TurnCompleted(1, "turn", "t", "stop", Usage(1, 2), 0, "m", created().sampling))
ENDED = payload_of(
    events.JobEnded("answer", "completed", "a", [events.Citation("u", "t", "q", 3)], events.JobUsage(), None, None)
)
BEGUN = payload_of(events.AttemptStarted("w", "openai", "m", 1000, prices={"search": 0.5}))
FIRST = payload_of(created(messages=[{"role": "user", "content": "q"}]))


@pytest.mark.parametrize(
    ("type_", "payload", "path", "value"),
    [
        ("tool.started", STARTED, ["reserved_usd"], 1e308),
        ("tool.started", STARTED, ["reserved_usd"], "x" * 3000),
        ("tool.started", STARTED, ["reserved_usd"], -0.01),
        ("tool.started", STARTED, ["reserved_usd"], None),
        ("tool.started", STARTED, ["reserved_usd"], True),
        ("tool.started", STARTED, ["turn"], 1.5),
        ("tool.started", STARTED, ["turn"], "1"),
        ("tool.started", STARTED, ["turn"], False),
        ("tool.started", STARTED, ["name"], 5),
        ("tool.started", STARTED, ["arguments"], []),
        ("attempt.started", BEGUN, ["prices", "search"], "x" * 3000),
        ("attempt.started", BEGUN, ["prices", "search"], 1e308),
        ("attempt.started", BEGUN, ["prices", "search"], -1),
        ("attempt.started", BEGUN, ["repeats"], None),
        ("tool.completed", COMPLETED, ["cost_usd"], -1000.0),
        ("tool.completed", COMPLETED, ["text"], None),
        ("tool.completed", COMPLETED, ["called"], 1),
        ("tool.completed", COMPLETED, ["items"], {}),
        ("tool.completed", COMPLETED, ["items", 0, "tried"], {"0": {}}),
        ("tool.completed", COMPLETED, ["items", 0, "cost_usd"], "x" * 3000),
        ("tool.completed", COMPLETED, ["items", 0, "text"], 7),
        ("tool.completed", COMPLETED, ["items", 0, "ok"], "yes"),
        ("tool.completed", COMPLETED, ["items", 0, "fetched_at"], 1e300),
        ("tool.completed", COMPLETED, ["items", 0, "results"], ["t"]),
        ("tool.completed", COMPLETED, ["items", 0, "left_out"], {"language": 0.5}),
        ("tool.completed", COMPLETED, ["items", 0, "tried", 0, "cost_usd"], [1]),
        ("turn.completed", TURN, ["usage", "prompt_tokens"], "x"),
        ("turn.completed", TURN, ["sampling", "temperature"], {}),
        ("turn.completed", TURN, ["sampling", "stop"], [5]),
        ("turn.completed", TURN, ["sampling", "stop"], "abc"),
        ("turn.completed", TURN, ["logprobs"], "x"),
        ("job.created", FIRST, ["deadline_at"], "tomorrow"),
        ("job.created", FIRST, ["limits", "max_turns"], "x"),
        ("job.created", FIRST, ["limits", "max_tool_cost_usd"], 1e308),
        ("job.created", FIRST, ["tools", "sources", "languages"], [5]),
        ("job.created", FIRST, ["messages"], ["q"]),
        ("job.ended", ENDED, ["usage", "tool_cost_usd"], "x"),
        ("job.ended", ENDED, ["citations"], {}),
        ("job.ended", ENDED, ["citations", 0, "seq"], "x"),
    ],
)
def test_a_field_that_holds_what_it_cannot_hold_is_named(
    type_: str, payload: dict[str, Any], path: list[Any], value: object
) -> None:
    assert codec.encode(codec.decode(type_, 1, payload)) == orjson.dumps(payload)
    damaged = orjson.loads(orjson.dumps(payload))
    inner = damaged
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    field = [step for step in path if isinstance(step, str)][-1]
    with pytest.raises(ValueError, match=rf"a damaged {type_} event: .*({field}|prices)"):
        codec.decode(type_, 1, damaged)


def test_a_model_that_gave_no_number_for_a_token_spoils_no_journal() -> None:
    event = codec.decode("turn.completed", 1, TURN | {"logprobs": [None, -0.5]})
    assert isinstance(event, events.TurnCompleted)
    assert event.logprobs == [None, -0.5]
