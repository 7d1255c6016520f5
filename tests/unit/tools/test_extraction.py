"""Extraction: reading a model's JSON, the two tries, and what a failing engine means."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Usage
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.pages.extraction import Completion, EngineExtractor
from literesearcher.tools.pages.extraction_json import extraction_of, read_extraction
from literesearcher.tools.pages.passage_extraction import PassageExtractor

GOOD = {"rational": "r", "evidence": "e\n```json\n{}\n``` </think> {x}", "summary": "s "}


@pytest.mark.parametrize(
    "wrapped",
    [
        "{}",
        "\n {} \n",
        "```json\n{}\n```",
        "Here it is:\n```\n{}\n```\nDone.",
        "<think>\nlet me see {{not json}}\n</think>\n{}",
        "thinking without opening</think>{}",
        "[{}]",
    ],
)
def test_an_object_is_found_in_its_wrapping_and_kept_to_the_byte(wrapped):
    text = wrapped.replace("{}", json.dumps(GOOD, ensure_ascii=False)).replace("{{", "{").replace("}}", "}")
    if "</think>" in wrapped:
        text = wrapped.replace("{}", json.dumps(GOOD | {"evidence": "plain"}))
        assert read_extraction(text) == GOOD | {"evidence": "plain"}
    else:
        assert read_extraction(text) == GOOD


@pytest.mark.parametrize(
    "wrapped",
    [
        "<think>\n@",  # a thought that the server's template opened and nobody closed
        "<think>\n@\n</think>\n\n",
        "@\n</think>\n\nAs {asked}.",
        "The goal {is clear}, so:\n@\nThat {is} all.",
        'A draft: {"rational": "?", "evidence": ...} no.\n```json\n@\n```',
        'Draft:\n{"rational": "d", "evidence": "d", "summary": "d"}\nBetter:\n@\n',
        '<think>{"rational": "d", "evidence": "d", "summary": "d"}</think>\nHere {you} go: @ {end}',
    ],
)
def test_an_object_is_found_in_an_open_thought_among_braces_and_drafts(wrapped):
    assert read_extraction(wrapped.replace("@", json.dumps(GOOD | {"evidence": "e {x}"}))) == GOOD | {
        "evidence": "e {x}"
    }


@pytest.mark.parametrize(
    ("text", "evidence", "summary"),
    [
        ('{"rational": "r", "evidence": "a\nb", "summary": "s"}', "a\nb", "s"),  # raw newline in a string
        ("{'rational': 'r', 'evidence': 'a', 'summary': 's',}", "a", "s"),
        ('{"rational": "r", "evidence": "a", "summary": "s"', "a", "s"),
        ('{"evidence": ["a", 1], "summary": {"k": null}}', "['a', 1]", "{'k': None}"),
        ('{"evidence": null, "summary": 3}', "None", "3"),
        ('{"evidence": "\\ud800", "summary": "s"}', "\ufffd", "s"),
        ('{"evidence": "", "summary": ""}', "", ""),
    ],
)
def test_slips_are_read_as_published_code_read_them(text, evidence, summary):
    found = read_extraction(text)
    assert found is not None
    assert (found["evidence"], found["summary"]) == (evidence, summary)


@pytest.mark.parametrize(
    "text",
    [
        *("", "no", "{", "{}", "[]", "null", '"evidence summary"', '{"evidence": "a"}', '{"summary": "s"}'),
        *("[" * 50_000, "{" * 50_000, '{"a":' * 20_000, "{" * 1_900),
    ],
)
def test_what_holds_no_extraction_is_none(text):
    assert read_extraction(text) is None


@given(st.text(alphabet=st.sampled_from("{}[]\":,'\\ abevidncsumry\n`<>/"), max_size=120))
def test_it_never_raises_and_never_invents(text):
    found = read_extraction(text)
    if found is not None:
        assert {"evidence", "summary"} <= found.keys()
        assert "evidence" in text
        assert "summary" in text


class Prompt:
    def __init__(self) -> None:
        self.digests = {"extractor": "d1"}

    def render_extractor(self, page: str, goal: str) -> str:
        return f"{goal}|{page}"


class Model:
    """Acts out what it is given, one act a call."""

    def __init__(self, *acts: str | Exception) -> None:
        self.acts = list(acts)
        self.calls: list[dict] = []

    async def complete(self, messages, **options) -> Completion:
        self.calls.append({"prompt": messages[0].content, **options})
        act = self.acts.pop(0)
        if isinstance(act, Exception):
            raise act
        return Completion(act, Usage(10, 2, 1))


def extractor(model: Model, **options) -> EngineExtractor:
    return EngineExtractor(model, Prompt(), clock=SystemClock(), **options)


async def test_a_first_good_answer_is_taken_and_asked_for_as_published():
    model = Model(json.dumps(GOOD))
    found = await extractor(model).extract("page", "goal", profile="inference", timeout_seconds=30)
    assert found.fields == GOOD
    assert found.usage == Usage(10, 2, 1)
    (call,) = model.calls
    assert call["prompt"] == "goal|page"
    assert (call["max_tokens"], call["sampling"].temperature, call["sampling"].stop) == (12_000, 0.7, ())


async def test_garbage_is_tried_twice_and_then_is_a_failure_that_costs():
    model = Model("garbage", "", json.dumps(GOOD))
    found = await extractor(model).extract("page", "goal", profile="training", timeout_seconds=30)
    assert found.fields is None
    assert found.usage == Usage(20, 4, 2)
    assert [call["max_tokens"] for call in model.calls] == [6_000, 6_000]


async def test_a_busy_engine_is_asked_again_without_losing_a_try():
    busy = BoundaryError("busy", code="engine_busy", transient=True, retry_after=0.0)
    model = Model(busy, "garbage", busy, json.dumps(GOOD))
    found = await extractor(model).extract("page", "goal", profile="inference", timeout_seconds=30)
    assert found.fields == GOOD


async def test_an_engine_that_refuses_is_a_failure_at_once():
    model = Model(BoundaryError("no", code="engine_unauthorized"), json.dumps(GOOD))
    found = await extractor(model).extract("page", "goal", profile="inference", timeout_seconds=30)
    assert found.fields is None
    assert len(model.calls) == 1


async def test_a_prompt_that_is_too_long_is_cut_until_it_fits():
    model = Model(PromptTooLong("long"), PromptTooLong("long"), json.dumps(GOOD))
    found = await extractor(model).extract("x" * 10_000, "g", profile="inference", timeout_seconds=30)
    assert found.fields == GOOD
    assert [len(call["prompt"]) - 2 for call in model.calls] == [10_000, 7_000, 4_900]
    endless = Model(*[PromptTooLong("long")] * 50)
    assert (await extractor(endless).extract("x" * 10_000, "g", profile="inference", timeout_seconds=30)).fields is None


def test_limits_follow_the_profile_and_a_small_context():
    assert extractor(Model()).page_tokens("inference") == 95_000
    assert extractor(Model()).page_tokens("training") == 32_000
    assert extractor(Model(), context_length=131_072).page_tokens("inference") == 95_000
    small = extractor(Model(), context_length=32_768)
    assert small.page_tokens("inference") == 32_768 - 8_192 - 2_000


async def test_passages_without_a_model():
    page = "\n\n".join([f"Paragraph {i} about gardens and rain." for i in range(40)])
    page += "\n\nheapq.merge merges several sorted inputs into one sorted iterator.\n\n" + "More on gardens. " * 500
    for text in (page, page * 10):
        found = await PassageExtractor().extract(text, "merge sorted inputs", profile="inference", timeout_seconds=30)
        assert found.fields is not None
        assert "heapq.merge" in found.fields["evidence"]
        assert "heapq.merge" in found.fields["summary"]
        assert found.usage is None


@pytest.mark.parametrize("text", ['{"evidence":"' + '\\"' * 90_000, '{"evidence": "' + "word " * 10_000])
async def test_repair_of_a_long_output_leaves_the_loop_alone(text):
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    turning = asyncio.create_task(turn())
    await asyncio.sleep(0.001)
    before = turns
    found = await extraction_of(text)
    turning.cancel()
    assert turns > before + 1
    assert found == read_extraction(text)
