"""Reads what the model wrote, forgivingly: never raises, and its work is linear in the text, whatever the text.

Owns: which part of a turn is thought, call, answer or neither. Refuses to know: which tools exist, what happens next.
Neighbour: `call_json` makes a call of the text between the call's tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from literesearcher.research.call_json import read_call, read_strict
from literesearcher.research.messages import ToolCall

THINK, THINK_END = "<think>", "</think>"
CALL, CALL_END = "<tool_call>", "</tool_call>"
ANSWER, ANSWER_END = "<answer>", "</answer>"
RESPONSE, RESPONSE_END = "<tool_response>", "</tool_response>"
_TAG = re.compile(f"{THINK}|{CALL}|{ANSWER}|{RESPONSE}")
_CALL_BOUND = re.compile(rf"{RESPONSE}|\n[ \t]*+<(?:think|tool_call|answer)>")
_ANSWER_BOUND = re.compile(rf"{RESPONSE}|\n[ \t]*+<(?:think|tool_call)>")
"""Where a call or an answer without closing tag ends at the latest. A tag in the middle of a line is part of it."""


@dataclass(frozen=True, slots=True)
class ParsedTurn:
    """One turn, read. At most one of `call` and `answer`; `broken_call`: a call stands there that no repair reads.

    `remark`: what was said outside thoughts, calls and answers, such as an answer without its tags.
    """

    thought: str
    call: ToolCall | None = None
    answer: str | None = None
    broken_call: bool = False
    remark: str = ""


def parse_turn(text: str, *, opened_thought: bool = False, cut_off: bool = False) -> ParsedTurn:
    """Read a turn. `opened_thought`: the text begins inside a thought; found out from the text where it shows.

    `cut_off`: the server stopped the text at its length, so what has no closing tag is half of something: half an
    answer is a remark, half a call is carried out only where its JSON is whole.
    A turn with both call and answer is an answer; an empty answer is none. Only the first call counts. What follows
    the first `<tool_response>` outside a thought was made up by the model and is dropped.
    """
    reading = _Reading(text, cut_off)
    reading.read(opened_thought or _begins_inside(text))
    return ParsedTurn(
        thought="\n\n".join(thought for thought in map(str.strip, reading.thoughts) if thought),
        call=None if reading.answer else reading.call,
        answer=reading.answer,
        broken_call=reading.broken and reading.call is None and not reading.answer,
        remark="\n".join(remark for remark in map(str.strip, reading.remarks) if remark),
    )


def _begins_inside(text: str) -> bool:
    """A thought is closed that was never opened: the server's template opened it."""
    end = text.find(THINK_END)
    return end >= 0 and THINK not in text[:end] and not text.lstrip().startswith((CALL, ANSWER))


@dataclass(slots=True)
class _Reading:
    """One pass over a turn."""

    text: str
    cut_off: bool
    thoughts: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    call: ToolCall | None = None
    broken: bool = False
    answer: str | None = None
    closings: dict[str, int] = field(default_factory=dict)

    def read(self, inside: bool) -> None:
        at = 0
        if inside:
            # A model that opens the thought which its template has opened already.
            start = len(self.text) - len(self.text.lstrip())
            at = self._thought(start + len(THINK) if self.text.startswith(THINK, start) else 0)
        while self.answer is None and (tag := _TAG.search(self.text, at)) is not None:
            self.remarks.append(self.text[at : tag.start()])
            match tag.group():
                case "<think>":
                    at = self._thought(tag.end())
                case "<tool_call>":
                    at = self._call(tag.end())
                case "<answer>":
                    at = self._answer(tag.end())
                case _:
                    return
        if self.answer is None:
            self.remarks.append(self.text[at:])

    def _thought(self, start: int) -> int:
        """Tags inside a thought are text."""
        end = self.text.find(THINK_END, start)
        if end < 0:
            self._unclosed(self.text[start:])
            return len(self.text)
        self.thoughts.append(self.text[start:end])
        return end + len(THINK_END)

    def _call(self, start: int) -> int:
        body, end, closed = self._body(start, CALL_END, _CALL_BOUND)
        self._take_call(body, whole=closed or not self.cut_off or end < len(self.text))
        return end

    def _take_call(self, body: str, *, whole: bool) -> None:
        if self.call is None and not self.broken:
            self.call = read_call(body) if whole else read_strict(body)
            self.broken = self.call is None

    def _answer(self, start: int) -> int:
        body, end, closed = self._body(start, ANSWER_END, _ANSWER_BOUND)
        if self.cut_off and not closed and end == len(self.text):
            self.remarks.append(body)
        elif body.strip():
            self.answer = body.strip()
        return end

    def _body(self, start: int, closing: str, bound: re.Pattern[str]) -> tuple[str, int, bool]:
        """(text of the element, where it ends, whether it was closed)."""
        end = self._closing(start, closing)
        found = bound.search(self.text, start, end if end >= 0 else len(self.text))
        if found is not None:
            return self.text[start : found.start()], found.start(), False
        if end < 0:
            return self.text[start:], len(self.text), False
        return self.text[start:end], end + len(closing), True

    def _closing(self, start: int, closing: str) -> int:
        """Where the next closing tag stands, -1 for nowhere. Looked for once: a text may open a tag ten thousand times
        and close it at its very end."""
        known = self.closings.get(closing)
        if known is None or -1 < known < start:
            known = self.closings[closing] = self.text.find(closing, start)
        return known

    def _unclosed(self, text: str) -> None:
        """A thought that was never closed. A call or an answer that stands whole on lines of its own at the very end
        was meant as one; every other tag in it is text."""
        shown = text.rstrip()
        for opening, closing in ((ANSWER, ANSWER_END), (CALL, CALL_END)):
            start = 0 if shown.startswith(opening) else shown.rfind("\n" + opening) + 1
            if not shown.startswith(opening, start):
                continue
            body = shown[start + len(opening) :]
            closed = body.endswith(closing)
            body = body.removesuffix(closing)
            if opening == ANSWER and closed and body.strip():
                self.answer = body.strip()
            elif opening == CALL and (closed or read_strict(body) is not None):
                self._take_call(body, whole=True)
            else:
                continue
            text = shown[:start]
            break
        self.thoughts.append(text)
