"""Reads the conversation that the extractive engine is given: the question, what was searched, what was read.

Owns: taking search and visit results apart again, in the texts that the tools write. Linear, and never raises: what
does not look like a result is no result. Refuses to know: scores, plans.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from literesearcher.research.messages import Message
from literesearcher.research.parsing import parse_turn

_OPEN, _CLOSE = "<tool_response>", "</tool_response>"
_ENTRY = re.compile(r"^\d{1,4}\. \[(.*)\]\((.+)\)$")
_ENTRY_CHARS = 5_000
_VISITED = re.compile(r"^The useful information in (.{1,4000}?) for user goal ", re.MULTILINE)
_EVIDENCE, _SUMMARY = "\nEvidence in page: \n", "\n\nSummary: \n"
_EMPTY = (
    "The provided webpage content could not be accessed.",
    "The webpage content is too short or could not be fully loaded.",
    "Failed to extract",
)
_MEMORY = "\n\nWhat earlier steps of this research found:\n"


@dataclass(frozen=True, slots=True)
class Found:
    """A search result as the model reads it, with its place in its list."""

    url: str
    title: str
    snippet: str
    place: int


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page that a visit reported on."""

    url: str
    evidence: str


@dataclass(slots=True)
class Reading:
    """Everything that the conversation says. `earlier`: the answer before a follow-up question."""

    question: str = ""
    earlier: str = ""
    memory: str = ""
    queries: list[str] = field(default_factory=list)
    searches: int = 0
    visits: int = 0
    found: dict[str, Found] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """URLs that were visited, whatever came of it."""
    goals: list[str] = field(default_factory=list)
    pages: dict[str, PageRead] = field(default_factory=dict)


def read(messages: Sequence[Message]) -> Reading:
    """The reading of a conversation; the last user message that is no tool's result is the question."""
    reading = Reading()
    start = 0
    for index, message in enumerate(messages):
        if message.role == "user" and not message.content.lstrip().startswith(_OPEN):
            start, reading.question = index, message.received
    reading.question, _, reading.memory = reading.question.partition(_MEMORY)
    for message in messages[:start]:
        if message.role == "assistant":
            reading.earlier = parse_turn(message.content).answer or message.content
    call_name = ""
    for message in messages[start + 1 :]:
        if message.role == "assistant":
            call_name = _called(message.content, reading)
        elif message.role == "user":
            _result(_inside(message.received), call_name, reading)
    return reading


def _called(text: str, reading: Reading) -> str:
    call = parse_turn(text).call
    if call is None:
        return ""
    if call.name == "search":
        reading.searches += 1
        queries = call.arguments.get("query")
        reading.queries.extend(str(query) for query in (queries if isinstance(queries, list) else [queries]))
    elif call.name == "visit":
        reading.visits += 1
        urls = call.arguments.get("url")
        reading.asked.extend(str(url) for url in (urls if isinstance(urls, list) else [urls]))
        reading.goals.append(str(call.arguments.get("goal", "")))
    return call.name


def _inside(content: str) -> str:
    text = content.strip()
    if text.startswith(_OPEN):
        text = text[len(_OPEN) :].removeprefix("\n")
    return text.removesuffix(_CLOSE).removesuffix("\n")


def _result(text: str, call_name: str, reading: Reading) -> None:
    if call_name == "visit":
        _pages(text, reading)
    elif call_name == "search":
        _entries(text, reading)


def _entries(text: str, reading: Reading) -> None:
    head: tuple[str, str, int] | None = None
    body: list[str] = []
    place = 0

    def close() -> None:
        if head is not None and head[1] not in reading.found:
            snippet = " ".join(line for line in body if not line.startswith(("Date published: ", "Source: ")))
            reading.found[head[1]] = Found(head[1], head[0], snippet.strip(), head[2])

    for line in text.split("\n"):
        entry = _ENTRY.match(line) if len(line) < _ENTRY_CHARS else None
        if entry or line == "=======" or line.startswith("A Google search for '"):
            close()
            head, body = None, []
            if not entry:
                place = 0
                continue
        if entry:
            place += 1
            head = (entry[1], entry[2], place)
        elif head is not None:
            body.append(line)
    close()


def _pages(text: str, reading: Reading) -> None:
    starts = list(_VISITED.finditer(text))
    for number, match in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(text)
        part = text[match.end() : end]
        at = part.find(_EVIDENCE)
        if at < 0:
            continue
        evidence, _, summary = part[at + len(_EVIDENCE) :].rpartition(_SUMMARY)
        evidence = (evidence or summary).strip()
        if evidence.startswith(_EMPTY) or not evidence:
            continue
        old = reading.pages.get(match[1])
        if old is not None and evidence not in old.evidence:
            evidence = f"{old.evidence}\n\n{evidence}"
        elif old is not None:
            evidence = old.evidence
        reading.pages[match[1]] = PageRead(match[1], evidence)
