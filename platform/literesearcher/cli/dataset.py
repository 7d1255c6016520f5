"""Datasets of questions: JSONL, one item a line, in the published forms.

`{"question", "answer"}`, also with `"id"`, and `{"messages": [{"role", "content"}, …], "answer"}`. Owns: reading them,
naming each line that cannot be used. Refuses to know: jobs, rollouts. A broken line never stops the rest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from literesearcher.errors import CallerError

MAX_LINE_BYTES = 4_000_000
"""Of one item; far beyond what a job takes as its input."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question. `digest` (SHA-256 hex of what is asked) tells a changed item from the one that was run."""

    id: str
    line: int
    question: str | None
    messages: list[dict[str, Any]] | None
    answer: Any
    digest: str

    @property
    def asked(self) -> str:
        """The question as a person would name it: of a conversation, the last user message."""
        if self.question is not None:
            return self.question
        said = [message["content"] for message in self.messages or [] if message.get("role") == "user"]
        return str(said[-1]) if said else ""


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that is left out, and why."""

    line: int
    reason: str


def read_dataset(path: Path) -> tuple[list[Item], list[BrokenLine]]:
    """All usable items in order, and the broken lines. `CallerError` where the file itself cannot be read."""
    items: list[Item] = []
    broken: list[BrokenLine] = []
    lines_by_id: dict[str, int] = {}
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = raw.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else raw.strip()
                if not line:
                    continue
                item = _item(line, number)
                if isinstance(item, Item) and item.id in lines_by_id:
                    item = BrokenLine(number, f"id {item.id!r} stands on line {lines_by_id[item.id]} already")
                if isinstance(item, BrokenLine):
                    broken.append(item)
                    continue
                lines_by_id[item.id] = number
                items.append(item)
    except OSError as error:
        raise CallerError(f"{path} cannot be read ({error.strerror})", field="dataset") from None
    return items, broken


def _item(line: bytes, number: int) -> Item | BrokenLine:
    if len(line) > MAX_LINE_BYTES:
        return BrokenLine(number, f"longer than {MAX_LINE_BYTES:,} bytes")
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return BrokenLine(number, f"no JSON ({error.msg})")
    if not isinstance(record, dict):
        return BrokenLine(number, "no JSON object")
    question, messages = record.get("question"), record.get("messages")
    if question is not None and messages is None:
        if not isinstance(question, str) or not question.strip():
            return BrokenLine(number, "question must be a text that is not empty")
    elif messages is not None and question is None:
        if not _is_conversation(messages):
            return BrokenLine(number, "messages must be a list of objects with role and content, both texts")
    else:
        return BrokenLine(number, "needs either question or messages")
    digest = hashlib.sha256(orjson.dumps([question, messages], option=orjson.OPT_SORT_KEYS)).hexdigest()
    given = record.get("id")
    if given is not None and (isinstance(given, bool) or not isinstance(given, str | int) or given == ""):
        return BrokenLine(number, "id must be a text or a whole number")
    # Without an id an item is known by what it asks, so that lines may move.
    return Item(
        id=str(given) if given is not None else f"q-{digest[:12]}",
        line=number,
        question=question,
        messages=messages,
        answer=record.get("answer"),
        digest=digest,
    )


def _is_conversation(messages: Any) -> bool:
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(
            isinstance(message, dict)
            and isinstance(message.get("role"), str)
            and isinstance(message.get("content"), str)
            for message in messages
        )
    )
