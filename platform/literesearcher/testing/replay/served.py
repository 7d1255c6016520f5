"""What the replay server says, made once at the start: the bytes of every turn, page, extraction and result list.

Owns: wire forms and look-up keys. Refuses to know: HTTP routes, which job is where (see `book`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urldefrag

import orjson

from literesearcher.testing.replay.inversion import Item, PageItem, SearchItem, invert
from literesearcher.testing.replay.rollouts import Case, Turn

MODEL = "replayed-rollouts"
OPENING = "<think>\n"
_PIECE = 4
"""Characters of a streamed piece, about a token."""
_MARKER = re.compile(r"\[replayed page (\d+)\]")
_FILLER = "This page stands for one that the recorded job read; what it held is in the extraction of it. "
_MOJIBAKE = "Ã©tÃ© â€™ Ã¨re â€œ Ã¢ge â€\u009d "


def question_forms(question: str) -> tuple[str, ...]:
    """The user message that opens a job, in the three forms."""
    return question, f" Question: {question}", f"Question:{question}"


def url_key(url: str) -> str:
    """One key for a URL however a client spells it on the wire."""
    return unquote(urldefrag(url).url, errors="replace").rstrip("/")


def marker(number: int) -> str:
    """Stands in a page's text, so that the extraction call about it is known."""
    return f"[replayed page {number}]"


def find_marker(text: str) -> int | None:
    """The page that an extraction prompt is about."""
    found = _MARKER.search(text)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Reply:
    """One generation in every wire form, each made when first asked for. `text` is what the answer carries."""

    text: str
    usage: dict[str, Any]

    @cached_property
    def chat(self) -> bytes:
        """A chat completion."""
        return self._whole("chat.completion", message={"role": "assistant", "content": self.text})

    @cached_property
    def completion(self) -> bytes:
        """A text completion."""
        return self._whole("text_completion", text=self.text)

    @cached_property
    def chat_events(self) -> tuple[bytes, ...]:
        """The same as server-sent events, token by token."""
        return self._events(lambda piece: {"delta": {"content": piece}})

    @cached_property
    def completion_events(self) -> tuple[bytes, ...]:
        """The same as server-sent events, token by token."""
        return self._events(lambda piece: {"text": piece})

    def _whole(self, kind: str, **content: Any) -> bytes:
        choice = {"index": 0, **content, "finish_reason": "stop", "matched_stop": None}
        answer = {"id": "replay", "object": kind, "created": 0, "model": MODEL, "choices": [choice]}
        return orjson.dumps({**answer, "usage": self.usage})

    def _events(self, content: Callable[[str], dict[str, Any]]) -> tuple[bytes, ...]:
        def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
            return b"data: " + orjson.dumps({"id": "replay", "model": MODEL, "choices": choices, **more}) + b"\n\n"

        pieces = [self.text[at : at + _PIECE] for at in range(0, len(self.text), _PIECE)]
        events = [event([{"index": 0, **content(piece), "finish_reason": None}]) for piece in pieces]
        last = event([{"index": 0, **content(""), "finish_reason": "stop"}])
        return *events, last, event([], usage=self.usage), b"data: [DONE]\n\n"


def reply(text: str, prompt_bytes: int) -> Reply:
    """Tokens are counted as a quarter of the UTF-8 bytes: plausible, not exact."""
    prompt, completion = prompt_bytes // 4 + 1, len(text.encode()) // 4 + 1
    return Reply(
        text,
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    )


@dataclass(frozen=True, slots=True)
class ServedTurn:
    """A turn ready to serve, and what its call must bring about."""

    turn: Turn
    whole: Reply
    """The turn from `<think>` on."""
    continued: Reply
    """The same for a prompt that has opened the thought already."""
    items: tuple[Item, ...]


def serve_turns(case: Case) -> tuple[ServedTurn, ...]:
    """Every turn of a case."""
    served: list[ServedTurn] = []
    size = len(case.question.encode()) + 4000
    for turn in case.turns:
        items = tuple(invert(turn.call, turn.response)) if turn.call and turn.response else ()
        continued = reply(turn.text.removeprefix(OPENING), size)
        served.append(ServedTurn(turn, reply(turn.text, size), continued, items))
        size += len(turn.text.encode()) + len((turn.response or "").encode())
    return tuple(served)


def organic(item: SearchItem) -> bytes:
    """Serper's answer."""
    answer: dict[str, Any] = {"searchParameters": {"q": item.query, "type": "search"}, "credits": 1}
    if item.organic is not None:
        answer["organic"] = [{**result, "position": at} for at, result in enumerate(item.organic, start=1)]
    return orjson.dumps(answer)


def page(item: PageItem, number: int) -> bytes | None:
    """Jina Reader's answer, None for a page that cannot be had."""
    if item.kind == "unreachable":
        return None
    head = f"Title: Replayed page\n\nURL Source: {item.url}\n\nMarkdown Content:\n"
    if item.kind == "too_short":
        return (head + "Please enable JavaScript. " * 8).encode()[:400]
    opening = _MOJIBAKE * 4 if item.mojibake else ""
    return f"{opening}{head}{marker(number)}\n\n{_FILLER * 12}\n".encode()


def extraction(item: PageItem) -> Reply:
    """The extractor's answer; words that hold no JSON where the recorded extraction failed."""
    if item.kind == "not_extracted":
        return reply("The page could not be read as asked.", 4000)
    fields = {"rational": "As recorded.", "evidence": item.evidence, "summary": item.summary}
    return reply(orjson.dumps(fields).decode(), 4000)


def page_numbers(cases: Sequence[Sequence[ServedTurn]]) -> dict[str, int]:
    """A number for every URL of the rollouts."""
    keys = {
        url_key(item.url): None
        for turns in cases
        for turn in turns
        for item in turn.items
        if isinstance(item, PageItem)
    }
    return {key: number for number, key in enumerate(keys)}
