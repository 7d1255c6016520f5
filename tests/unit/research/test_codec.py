"""Events survive JSON; what a newer writer wrote is refused, what it added is let be."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from literesearcher.errors import UnfoldableEvent
from literesearcher.research import codec, events
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
    st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
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
