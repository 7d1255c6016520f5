"""The parser reads slips, keeps tags in thoughts as text, and never raises."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from literesearcher.research.messages import ToolCall
from literesearcher.research.parsing import parse_turn
from literesearcher.testing.machine_run import answer, call
from literesearcher.testing.replay.rollouts import Turn, load

SELF_MADE = Path(__file__).parents[2] / "data" / "rollouts"
TEST_DATA = os.environ.get("LITERESEARCHER_TEST_DATA")
CASES = load(SELF_MADE) + (load(Path(TEST_DATA) / "trajectories") if TEST_DATA else [])
TURNS = [turn for case in CASES for turn in case.turns]
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
        '```\n{"name": "search", "arguments": {"query": ["a"]}}',
        '{"name": " search ", "arguments": {"query": ["a"]}}',
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
    "body",
    [
        "",
        "search a",
        "{}",
        "[]",
        "null",
        '{"name": 5}',
        '{"name": "search", "arguments": 3}',
        "{" * 500,
        '{"name": "%s"}' % ("x" * 65),
    ],
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


@pytest.mark.parametrize(
    ("said", "goal"),
    [
        ("'goal': 'it\\'s'", "it's"),
        ('"goal": "the "best" one"', 'the "best" one'),
        ('"goal": "two\nlines"', "two\nlines"),
        ('"goal": "\\d+ of them"', "\\d+ of them"),
    ],
)
def test_slips_inside_strings(said: str, goal: str):
    turn = parse_turn("<tool_call>{'name': 'visit', 'arguments': {\"url\": \"u\", " + said + "}}</tool_call>")
    assert turn.call == ToolCall("visit", {"url": "u", "goal": goal})


def test_tags_inside_the_strings_of_a_call_are_text():
    for word in ("<answer>", "<think>", "</think>", "<tool_call>"):
        for before in ("", "<think>\nt\n</think>\n"):
            turn = parse_turn(before + call("search", thought="", query=[f"what is {word}"]).split("</think>\n")[1])
            assert turn.call == ToolCall("search", {"query": [f"what is {word}"]}), (word, before)


def test_tags_in_a_later_thought_are_text_too():
    turn = parse_turn("<think>\na\n</think>\n<think>\n<answer>no</answer>\n</think>\n<answer>yes</answer>")
    assert (turn.answer, turn.thought) == ("yes", "a\n\n<answer>no</answer>")


def test_a_call_that_was_not_closed_ends_where_the_next_element_begins():
    turn = parse_turn(
        '<think>t</think>\n<tool_call>\n{"name": "search", "arguments": {"query": ["a"]}}\n<answer>x</answer>'
    )
    assert (turn.answer, turn.call) == ("x", None)
    turn = parse_turn('<tool_call>\n{"name": "search", "arguments": {"query": ["a"]}}\n' + call("search", query=["b"]))
    assert turn.call == SEARCH


def test_a_thought_that_is_never_closed_is_a_thought():
    for text in ("<think>\nperhaps <answer>no</answer>", "<think>\n<answer>no</answer>\nbut I should look it up"):
        for opened in (False, True):
            turn = parse_turn(text.removeprefix("<think>\n") if opened else text, opened_thought=opened)
            assert (turn.answer, turn.call, turn.broken_call, turn.remark) == (None, None, False, "")
            assert "<answer>no</answer>" in turn.thought


def test_a_thought_opened_twice():
    turn = parse_turn("<think>\nt\n</think>\n<answer>42</answer>", opened_thought=True)
    assert (turn.thought, turn.answer) == ("t", "42")


def test_what_the_length_cut_off_is_half_of_something():
    for half in ("<answer>The winner was", "<tool_call>\n{'name': 'search', 'arguments': {'query': ['a"):
        turn = parse_turn("<think>\nt\n</think>\n" + half, cut_off=True)
        assert (turn.answer, turn.call) == (None, None)
    assert parse_turn("<think>t</think><answer>The winner was", cut_off=True).remark == "The winner was"
    whole = parse_turn('<tool_call>\n{"name": "search", "arguments": {"query": ["a"]}}', cut_off=True)
    assert whole.call == SEARCH
    assert parse_turn("<answer>42</answer>\nand so", cut_off=True).answer == "42"


def test_an_empty_answer_does_not_hide_a_call():
    turn = parse_turn("<answer> </answer>" + call("search", query=["a"]))
    assert (turn.answer, turn.call) == (None, SEARCH)


def test_words_outside_the_form_are_remarked():
    assert parse_turn("Perhaps Ada.").remark == "Perhaps Ada."
    assert parse_turn("<think>t</think>\nPerhaps Ada.\n" + call("search", query=["a"])).remark == "Perhaps Ada."


@pytest.mark.parametrize("opened", [True, False])
def test_every_turn_of_the_rollouts(opened: bool):
    for turn in TURNS:
        read = parse_turn(turn.text.removeprefix("<think>\n") if opened else turn.text, opened_thought=opened)
        assert read.call == (ToolCall(turn.call.name, turn.call.arguments) if turn.call else None)
        assert (read.answer is None) == (turn.call is not None)
        assert read.thought == turn.text.removeprefix("<think>\n").split("\n</think>")[0].strip()


def test_what_is_read_can_be_journalled():
    """JSON escapes and Python literals bring what neither JSON nor a database holds."""
    body = r'{"name": "a\ud800", "arguments": {"\ud800": "x\u0000y\udc00", "n": 1e999, "deep": {"\udfff": [{}]}}}'
    for text in (
        body,
        body.replace('"', "'"),
        "{'name': 'a', 'arguments': {1: (2, {3}), 'b': b'x', 'c': 2**9, 'n': 1e999}}",
    ):
        read = parse_turn(f"<tool_call>{text}</tool_call>").call
        if read is not None:
            dumped = orjson.dumps([read.name, read.arguments])
            assert b"\\u0000" not in dumped
            assert orjson.loads(dumped) == [read.name, read.arguments]


MANY = 20_000
HOSTILE = {
    "newlines in a fence": "<tool_call>```" + "\n" * MANY + "x</tool_call>",
    "opened calls": "\n<tool_call>" * MANY + "</tool_call>",
    "closed calls": "<tool_call></tool_call>" * MANY,
    "empty answers": "<answer></answer>" * MANY,
    "unclosed answers": "\n<answer>\n<think></think>" * MANY,
    "thoughts": "<think>\n</think>" * MANY,
    "calls in a thought": "<think>" + "\n<tool_call>" * MANY + "</tool_call>",
    "blanks": "<tool_call>" + "\n \t" * MANY,
    "quotes": "<tool_call>{" + "\"'" * MANY,
    "brackets": "<tool_call>" + '{"name":[' * MANY,
    "nested strict JSON": '<tool_call>{"name": "a", "arguments": {"query": ' + "[" * 900 + "]" * 900 + "}}</tool_call>",
    "nested in a string": '<tool_call>{"name": "a", "arguments": "{\\"q\\":'
    + "[" * 900
    + "]" * 900
    + '}"}</tool_call>',
    "signs": '<tool_call>{"name":' + "-" * 4_000 + "1}</tool_call>",
    "conditions": '<tool_call>{"name":' + "1 if 1 else " * 300 + "1}</tool_call>",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_no_work(text: str):
    """What is not linear in these takes minutes or the stack."""
    for cut_off in (False, True):
        assert parse_turn(text, cut_off=cut_off).call is None


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
    made = [
        Turn(call("visit", url=["https://a.example/x"], goal='it\'s "this"'), None, None),
        Turn(answer("42"), None, None),
    ]
    text = data.draw(st.sampled_from([*made, *TURNS])).text
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.text(max_size=4) | PIECES) + text[at + cut :]
    turn = parse_turn(text, opened_thought=data.draw(st.booleans()), cut_off=data.draw(st.booleans()))
    assert not (turn.call and (turn.answer or turn.broken_call))
    if turn.call is not None:
        assert turn.call.name
        orjson.dumps([turn.call.name, turn.call.arguments])


@given(st.sampled_from([turn for turn in TURNS if turn.call]), st.data())
def test_what_is_damaged_in_the_thought_leaves_the_call_alone(turn: Turn, data: st.DataObject):
    end = turn.text.index("</think>")
    at = data.draw(st.integers(8, end))
    put = data.draw(
        st.sampled_from(["<answer>", "</answer>", "<tool_call>{", "</tool_call>", "<tool_response>", "<think>", "{"])
    )
    read = parse_turn(turn.text[:at] + put + turn.text[at:])
    assert turn.call is not None
    assert read.call == ToolCall(turn.call.name, turn.call.arguments)
