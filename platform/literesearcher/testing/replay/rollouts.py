"""Rollouts of the published shape, read into turns: what the model wrote, which call it made, what it read back.

Owns: the file shape `{"cases": [{"id", "question", "final_answer", "steps": [{"type": "question" | "assistant" |
"tool_response", …}]}]}` and the text of a turn built from its recorded thought, call and answer. Refuses to know:
HTTP, providers (see `inversion`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

RESPONSE_OPEN, RESPONSE_CLOSE = "<tool_response>\n", "\n</tool_response>"


@dataclass(frozen=True, slots=True)
class Call:
    """A recorded tool call: its arguments under the names that the model writes."""

    name: str
    arguments: dict[str, Any]

    @property
    def targets(self) -> list[str]:
        """Queries or URLs, in order."""
        return list(self.arguments["query" if self.name == "search" else "url"])

    @property
    def goal(self) -> str:
        """What a visit looks for; empty for a search."""
        return str(self.arguments.get("goal", ""))


@dataclass(frozen=True, slots=True)
class Turn:
    """One assistant turn. `call` and `response` (the whole recorded tool message) are None in the last one."""

    text: str
    call: Call | None
    response: str | None


@dataclass(frozen=True, slots=True)
class Case:
    """One recorded job."""

    id: str
    question: str
    answer: str
    turns: tuple[Turn, ...]


def load(path: Path) -> list[Case]:
    """All cases of a file, or of every `*.json` of a folder in the order of names. ValueError names what is wrong."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    cases = [case for file in files for case in _cases(file)]
    if not cases:
        raise ValueError(f"no rollouts in {path}")
    seen: set[str] = set()
    for case in cases:
        if case.question in seen:
            raise ValueError(f"two rollouts of one question cannot be told apart: {case.question[:80]!r}")
        seen.add(case.question)
    return cases


def _cases(file: Path) -> Iterator[Case]:
    for number, case in enumerate(orjson.loads(file.read_bytes())["cases"]):
        try:
            turns = tuple(_turns(case["steps"]))
            yield Case(f"{file.stem}-{case.get('id', number)}", case["question"], case["final_answer"], turns)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file}, case {number}: {error!r}") from error


def _turns(steps: list[dict[str, Any]]) -> Iterator[Turn]:
    followers = [*steps[1:], {"type": "end"}]
    for step, follower in zip(steps, followers, strict=True):
        if step["type"] != "assistant":
            continue
        call = _call(step)
        if (call is None) is (follower["type"] == "tool_response"):
            raise ValueError("a call without its tool_response, or a tool_response without its call")
        response = follower["content"] if call else None
        if response is not None and not (response.startswith(RESPONSE_OPEN) and response.endswith(RESPONSE_CLOSE)):
            raise ValueError("a tool_response without its tags")
        yield Turn(_text(step, call), call, response)


def _call(step: dict[str, Any]) -> Call | None:
    calls = step.get("tool_calls") or []
    if not calls:
        return None
    if len(calls) > 1:
        raise ValueError("more than one call in a turn")
    call = calls[0]
    if call["name"] == "search":
        return Call("search", {"query": call["queries"]})
    if call["name"] == "visit":
        return Call("visit", {"url": call["urls"], "goal": call["goal"]})
    raise ValueError(f"unknown tool {call['name']!r}")


def _text(step: dict[str, Any], call: Call | None) -> str:
    thought = f"<think>\n{step['think']}\n</think>\n"
    if call is None:
        return f"{thought}<answer>{step['answer']}</answer>"
    written = orjson.dumps({"name": call.name, "arguments": call.arguments}).decode()
    return f"{thought}<tool_call>\n{written}\n</tool_call>"
