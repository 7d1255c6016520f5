"""Our wordings against what the real model read: every recorded tool result, taken apart and rendered again."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from literesearcher.tools import formatting
from literesearcher.tools.arguments import search_queries, visit_pages
from literesearcher.tools.pages.fetch_chain import is_mojibake
from literesearcher.tools.providers.port import SearchResult

HEADING = re.compile(r"A Google search for '(.*)' found (\d+) results:\n\n## Web Results\n(.*)", re.DOTALL)
HEAD = re.compile(r"(\d+)\. \[(.*)\]\((.*)\)\n?", re.DOTALL)
PAGE = re.compile(
    r"The useful information in (\S+) for user goal (.*?) as follows: \n\n"
    r"Evidence in page: \n(.*)\n\nSummary: \n(.*)",
    re.DOTALL,
)


def recorded_steps() -> list[tuple[dict, str]]:
    root = os.environ.get("LITERESEARCHER_TEST_DATA")
    folder = Path(root or "/nonexistent") / "trajectories"
    if not folder.is_dir():
        pytest.skip("LITERESEARCHER_TEST_DATA names no folder with trajectories")
    steps = []
    for path in sorted(folder.glob("*.json")):
        for case in json.loads(path.read_text())["cases"]:
            calls = None
            for step in case["steps"]:
                if step["type"] == "assistant":
                    calls = step["tool_calls"]
                elif step["type"] == "tool_response":
                    text = step["content"]
                    assert text.startswith("<tool_response>\n")
                    assert text.endswith("\n</tool_response>")
                    steps.append((calls[0], text.removeprefix("<tool_response>\n").removesuffix("\n</tool_response>")))
    return steps


def results_of(body: str, count: int) -> list[SearchResult]:
    entries = re.split(r"\n\n(?=\d+\. \[)", body) if body else []
    # A snippet may itself hold a numbered link; only the running number begins an entry.
    whole: list[str] = []
    for entry in entries:
        if entry.startswith(f"{len(whole) + 1}. ["):
            whole.append(entry)
        else:
            whole[-1] += "\n\n" + entry
    assert len(whole) == count
    return [result_of(entry) for entry in whole]


def result_of(entry: str) -> SearchResult:
    head, blank, snippet = entry.partition("\n\n")
    date = source = None
    lines = head.split("\n")
    while len(lines) > 1:
        last = lines[-1]
        if last.startswith("Source: "):
            source = last.removeprefix("Source: ")
        elif last.startswith("Date published: "):
            date = last.removeprefix("Date published: ")
        elif last:
            break
        lines.pop()
    found = HEAD.fullmatch("\n".join(lines))
    assert found, entry
    title, link = found[2], found[3]
    if "](" in title:  # the link itself may hold `](`; the split does not matter to the bytes
        title, _, rest = title.partition("](")
        link = f"{rest}]({link}"
    return SearchResult(title, link, snippet if blank else None, date, source)


def test_every_recorded_result_renders_again_to_the_byte():
    searches = pages = 0
    for call, text in recorded_steps():
        if call["name"] == "search":
            queries = search_queries({"query": call["queries"]})
            parts = text.split("\n=======\n")
            rendered = []
            for query, part in zip(queries, parts, strict=True):
                found = HEADING.fullmatch(part)
                assert found, part[:200]
                assert found[1] == query
                results = results_of(found[3], int(found[2]))
                rendered.append(formatting.search_text(query, results))
            assert formatting.join_searches(rendered) == text
            searches += 1
        else:
            urls, goal = visit_pages({"url": call["urls"], "goal": call["goal"]})
            assert len(urls) == 1
            found = PAGE.fullmatch(text)
            assert found, text[:200]
            assert (found[1], found[2]) == (urls[0], goal)
            assert formatting.join_pages([formatting.page_text(urls[0], goal, found[3], found[4])]) == text
            pages += 1
    assert searches > 40
    assert pages > 200


def test_mojibake_is_told_from_pages_in_any_language():
    """Five recorded results are mojibake; the readable pages, Chinese and English, are not taken for it."""
    texts = [text for call, text in recorded_steps() if call["name"] == "visit"]
    broken = [text for text in texts if is_mojibake(PAGE.fullmatch(text)[3])]  # type: ignore[index]
    assert len(broken) == 5
