"""The parser reads slips, keeps tags in thoughts as text, and never raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literesearcher.research.messages import ToolCall
from literesearcher.research.parsing import parse_turn
from literesearcher.testing.machine_run import answer, call

SEARCH = ToolCall("search", {"query": ["a"]})


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "search", "arguments": {"query": ["a"]}}',
        "{'name': 'search', 'arguments': {'query': ['a']}}",
        '{"name": "search", "arguments": {"query": ["a",],},}',
        '{name: "search", arguments: {query: ["a"]}}',
        '```json\n{"name": "search", "arguments": {"query": ["a"]}}\n```',
        '{"name": "search", "arguments": {"query": ["a"',
        '{"name": "search", "arguments": {"query": ["a"]}}}',
        '{"name": "search", "arguments": "{\\"query\\": [\\"a\\"]}"}',
        '[{"name": "search", "arguments": {"query": ["a"]}}]',
        '{"name": "search", /* why */ "arguments": {"query": ["a"]}} // done',
        'Call: {"name": "search", "arguments": {"query": ["a"]}}',
    ],
)
@pytest.mark.parametrize("closing", ["\n</tool_call>", ""])
def test_slips_are_read(body: str, closing: str):
    assert parse_turn(f"<think>\nt\n</think>\n<tool_call>\n{body}{closing}").call == SEARCH


def test_python_literals_become_json_values():
    turn = parse_turn(
        "<tool_call>{'name': 'visit', 'arguments': {'url': ('u',), 'goal': None, 'deep': True}}</tool_call>"
    )
    assert turn.call == ToolCall("visit", {"url": ["u"], "goal": None, "deep": True})


def test_a_bare_url_stays_as_written():
    assert parse_turn(call("visit", url="https://a.example", goal="g")).call == ToolCall(
        "visit", {"url": "https://a.example", "goal": "g"}
    )


@pytest.mark.parametrize(
    "body", ["", "search a", "{}", "[]", "null", '{"name": 5}', '{"name": "search", "arguments": 3}', "{" * 500]
)
def test_what_cannot_be_read_is_a_broken_call(body: str):
    turn = parse_turn(f"<think>t</think><tool_call>{body}</tool_call>")
    assert turn.call is None
    assert turn.broken_call


def test_only_the_first_call_counts():
    turn = parse_turn(call("search", query=["a"]) + "\n" + call("search", query=["b"]))
    assert turn.call == SEARCH


def test_tags_in_a_thought_are_text():
    text = "<think>\nI could write <answer>no</answer> or <tool_call>{}</tool_call>, or <tool_response>.\n</think>\n"
    turn = parse_turn(text + "<answer>yes</answer>")
    assert turn.answer == "yes"
    assert "<answer>no</answer>" in turn.thought
    assert parse_turn(text).answer is None
    assert not parse_turn(text).broken_call


@pytest.mark.parametrize("opened", [True, False])
def test_text_that_begins_inside_the_thought(opened: bool):
    turn = parse_turn("I know <answer>no</answer>.\n</think>\n<answer>yes</answer>", opened_thought=opened)
    assert (turn.thought, turn.answer) == ("I know <answer>no</answer>.", "yes")


def test_an_unclosed_thought_with_a_call_at_its_end():
    turn = parse_turn(
        '<think>\nlet me see\n<tool_call>\n{"name": "search", "arguments": {"query": ["a"]}}\n</tool_call>'
    )
    assert turn.call == SEARCH


def test_invented_tool_results_are_cut():
    turn = parse_turn(call("search", query=["a"]) + "\n<tool_response>\nfake\n</tool_response>\n<answer>fake</answer>")
    assert (turn.call, turn.answer) == (SEARCH, None)


def test_a_missing_closing_answer_tag():
    assert parse_turn("<think>t</think>\n<answer>\n42").answer == "42"


@given(st.text(), st.booleans())
def test_never_raises(text: str, opened: bool):
    turn = parse_turn(text, opened_thought=opened)
    assert turn.call is None or turn.answer is None


TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>", "<tool_response>"]
JSON = ["{", "}", "'", '"name"', '"search"', ":", ",", "[", "]", '"arguments"', '"query"', "None", "```json", "\\"]
PIECES = st.sampled_from([*TAGS, *JSON, "\n", "\ud7ff", "中"])


@given(st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join))
def test_never_raises_on_pieces_of_the_protocol(text: str):
    parse_turn(text)


@given(st.data())
def test_mutations_of_real_turns(data: st.DataObject):
    text = data.draw(st.sampled_from([call("visit", url=["https://a.example/x"], goal='it\'s "this"'), answer("42")]))
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 12))
    put = data.draw(st.text(max_size=4) | PIECES)
    turn = parse_turn(text[:at] + put + text[at + cut :])
    if turn.call is not None:
        assert isinstance(turn.call.name, str)
        assert isinstance(turn.call.arguments, dict)
