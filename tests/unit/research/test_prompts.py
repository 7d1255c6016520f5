"""The prompts keep the published contract in other words, and a mounted text is used as it stands."""

from __future__ import annotations

import json
import os
import re
from hashlib import sha256
from pathlib import Path

import pytest

from literesearcher.research.prompts import EXTRACTOR, SYSTEM, Prompts, with_date

TEST_DATA = os.environ.get("LITERESEARCHER_TEST_DATA")
needs_published = pytest.mark.skipif(
    not TEST_DATA, reason="set LITERESEARCHER_TEST_DATA to a folder with the published prompts"
)


def signatures(system: str) -> dict[str, dict[str, object]]:
    """Tool signatures by name, without what the descriptions say."""
    tools = system.split("<tools>\n")[1].split("\n</tools>")[0].splitlines()
    found = {}
    for line in tools:
        tool = json.loads(re.sub(r'"description": "[^"]*"(, )?', "", line).replace(", }", "}"))
        found[tool["function"]["name"]] = tool
    return found


def test_the_contract_of_the_system_prompt():
    assert SYSTEM.endswith("\nCurrent date: ")
    assert list(signatures(SYSTEM)) == ["search", "visit"]
    for tag in ("think", "tool_call", "answer"):
        assert f"<{tag}>" in SYSTEM
        assert f"</{tag}>" in SYSTEM


@needs_published
def test_the_same_signatures_and_no_sentence_of_the_published_texts():
    published = Path(TEST_DATA or "") / "published_prompts"
    system = (published / "system_prompt.txt").read_text(encoding="utf-8")
    extractor = (published / "extractor_prompt.txt").read_text(encoding="utf-8")
    assert signatures(SYSTEM) == signatures(system)
    for theirs, ours in ((system, SYSTEM), (extractor, EXTRACTOR)):
        told = {sentence.strip() for sentence in re.split(r"(?<=[.:?])\s|\n", theirs) if len(sentence.split()) > 4}
        assert not [sentence for sentence in told if sentence in ours]


@needs_published
def test_a_mounted_published_prompt_is_used_unchanged():
    text = (Path(TEST_DATA or "") / "published_prompts" / "system_prompt.txt").read_text(encoding="utf-8")
    assert with_date(text, "2026-01-02") == text + "2026-01-02"


@pytest.mark.parametrize("text", ["Do.\n\nCurrent date: ", "Do.\n\nCurrent date:", "Do.\n\nCurrent date: \n", "Do.\n"])
def test_the_date_ends_the_system_message(text: str):
    assert with_date(text, "2026-01-02") == "Do.\n\nCurrent date: 2026-01-02"


def test_a_page_is_put_in_as_it_is():
    prompts = Prompts.of(extractor="Page: {webpage_content} Goal: {goal} {other}")
    page = "{goal} {webpage_content} {0} \\1 {{x}}"
    assert prompts.render_extractor(page, "{webpage_content}") == f"Page: {page} Goal: {{webpage_content}} {{other}}"
    assert "{" not in Prompts.of().render_extractor("p", "g").replace("JSON", "")


def test_digests_tell_the_texts_apart():
    prompts = Prompts.of(system="x")
    assert prompts.digests == {
        "system": sha256(b"x").hexdigest(),
        "extractor": sha256(EXTRACTOR.encode()).hexdigest(),
    }
