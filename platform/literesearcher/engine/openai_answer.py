"""What an OpenAI-compatible server generated, put together from one JSON answer or from a stream of chunks.

Owns: text as generated, thoughts that a reasoning parser split off put back, the stop string cut where the server left
it in, usage and fingerprints where told. Refuses to know: connections. Above: `engine.openai`.

A server with a reasoning parser returns the thought in `reasoning_content` (or `reasoning`) and the rest in `content`.
The model's memory needs both in its history, so the text becomes `<think>\\n{thought}\\n</think>\\n{content}`; newlines
at the seam are the parser's to drop, so they are normalised. A thought without content stays open.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from literesearcher.engine.openai_failures import from_error_object, garbage
from literesearcher.engine.port import Generation
from literesearcher.reading.unicode_text import valid_unicode
from literesearcher.research.messages import Usage

MAX_BODY = 32 * 1024 * 1024
"""Bytes of an answer at most: 10,000 tokens with logprobs are about 2 MB."""
_OPEN, _CLOSE = "<think>\n", "\n</think>\n"
NO_LOGPROB = -9999.0
"""Stands for minus infinity, which JSON cannot hold."""


def parse(data: bytes) -> dict[str, Any]:
    """A JSON object. orjson refuses lone surrogates, NaN and broken UTF-8; the slow way reads them."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise garbage("not JSON") from None
    if not isinstance(value, dict):
        raise garbage("not a JSON object")
    return value


def clean(text: str) -> str:
    """Valid Unicode that every store can hold: lone surrogates and NUL become U+FFFD."""
    return valid_unicode(text.replace("\x00", "\ufffd"))


class Answer:
    """Takes in a whole answer (`whole`) or chunk after chunk (`chunk`), then gives the `generation`."""

    most_bytes = MAX_BODY
    """Of a stream."""

    def __init__(self, *, model: str, stop: tuple[str, ...], opens_thought: bool | None, secret: str | None) -> None:
        """`opens_thought`: what our own rendering did; None where the server's template decides."""
        self._model = model
        self._stop = tuple(one for one in stop if one)
        self._opens_thought = opens_thought
        self._secret = secret
        self._text: list[str] = []
        self._held = ""
        self._thinking = False
        self._finish: str | None = None
        self._matched: str | None = None
        self._logprobs: list[float] = []
        self._token_ids: list[int] = []
        self._fingerprint: str | None = None
        self.usage: Usage | None = None
        self.done = False
        """Nothing more to read: the server said so, or a stop string came that it did not cut."""

    def whole(self, data: bytes) -> None:
        """Take in an answer that was not streamed."""
        answer = self._checked(parse(data))
        choice = _choice(answer)
        if choice is None:
            raise garbage("no choices")
        message = choice.get("message")
        source = message if isinstance(message, dict) else choice
        self._take(source, "text" if source is choice else "content", choice)
        self.flush()
        self._finish = self._finish or "stop"
        self.done = True

    def chunk(self, data: bytes) -> str:
        """Take in one event of a stream; the text that it adds, "" for none yet."""
        if data == b"[DONE]":
            self.done = True
            return self.flush()
        answer = self._checked(parse(data))
        choice = _choice(answer)
        if choice is None:
            return ""
        delta = choice.get("delta")
        source = delta if isinstance(delta, dict) else choice
        return self._take(source, "text" if source is choice else "content", choice)

    @property
    def finished(self) -> bool:
        """The server said why it stopped, or that it is done."""
        return self.done or self._finish is not None

    def generation(self) -> Generation:
        """What was generated. Raises `engine_garbage` on half a stream, `engine_error` on an aborted generation."""
        if not self.finished:
            raise garbage("half a stream, no finish reason")
        if self._finish in ("abort", "error"):
            raise from_error_object({"message": "the server aborted the generation"}, secret=self._secret)
        self.flush()
        text = clean("".join(self._text))
        opened = self._opens_thought
        if opened is None:
            close = text.find("</think>")
            opened = close >= 0 and "<think>" not in text[:close]
        return Generation(
            text=text,
            finish_reason=self._finish or "stop",
            usage=self.usage or Usage(),
            model=self._model,
            opened_thought=opened,
            matched_stop=self._matched,
            token_ids=tuple(self._token_ids) or None,
            logprobs=tuple(self._logprobs) if self._logprobs else None,
            engine_fingerprint=self._fingerprint,
        )

    def _checked(self, answer: dict[str, Any]) -> dict[str, Any]:
        error = answer.get("error") or (answer if answer.get("object") == "error" else None)
        if error:
            raise from_error_object(error, secret=self._secret)
        usage = answer.get("usage")
        if isinstance(usage, dict):
            self.usage = _usage(usage)
        self._model = _string(answer.get("model")) or self._model
        self._fingerprint = _string(answer.get("system_fingerprint")) or self._fingerprint
        return answer

    def _take(self, source: dict[str, Any], key: str, choice: dict[str, Any]) -> str:
        if choice.get("logprobs"):
            self._logprobs += _logprobs(choice["logprobs"])
        if choice.get("token_ids"):
            self._token_ids += _ids(choice["token_ids"])
        thought = source.get("reasoning_content") or source.get("reasoning")
        content = source.get(key)
        added = ""
        if isinstance(thought, str) and thought:
            added += self._think(thought)
        if isinstance(content, str) and content:
            added += self._say(content)
        elif content is not None and not isinstance(content, str):
            raise garbage(f"{key} is no text")
        reason = choice.get("finish_reason")
        if reason is not None and not self.done:
            self._finish = str(reason.get("type")) if isinstance(reason, dict) else str(reason)
            matched = choice.get("matched_stop", choice.get("stop_reason"))
            self._matched = self._matched or (matched if isinstance(matched, str) else None)
        return added

    def _think(self, thought: str) -> str:
        if not self._thinking and not self._text:
            self._thinking = True
            self._text.append(_OPEN)
            return _OPEN + self._hold_newlines(thought.lstrip("\n"))
        return self._hold_newlines(thought)

    def _hold_newlines(self, thought: str) -> str:
        """The thought's text without the newlines at its end, which wait until more of it comes."""
        whole = self._held + thought
        shown = whole.rstrip("\n")
        self._held = whole[len(shown) :]
        self._text.append(shown)
        return shown

    def _say(self, content: str) -> str:
        seam = ""
        if self._thinking:
            content = content.lstrip("\n")
            if not content:
                return ""
            self._thinking, self._held, seam = False, "", _CLOSE
            self._text.append(seam)
        return seam + self._until_stop(content)

    def _until_stop(self, content: str) -> str:
        """Text up to a stop string that the server did not cut; what may begin one waits for the next piece."""
        whole = self._held + content
        self._held = ""
        at, matched = min(((whole.find(stop), stop) for stop in self._stop if stop in whole), default=(-1, ""))
        if matched:
            self._matched, self._finish, self.done = matched, "stop", True
            whole = whole[:at]
        else:
            kept = max((_overlap(whole, stop) for stop in self._stop), default=0)
            if kept:
                whole, self._held = whole[:-kept], whole[-kept:]
        self._text.append(whole)
        return whole

    def flush(self) -> str:
        """The text that was held back for a stop string that never came."""
        held, self._held = ("" if self._thinking else self._held), ""
        self._text.append(held)
        return held


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of `text` that `stop` may begin with."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


def _choice(answer: dict[str, Any]) -> dict[str, Any] | None:
    choices = answer.get("choices")
    if isinstance(choices, list) and choices:
        if isinstance(choices[0], dict):
            return choices[0]
        raise garbage("a choice is no object")
    return None


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")) or 0,
        completion_tokens=_count(usage.get("completion_tokens")) or 0,
        cached_tokens=_count(cached),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _string(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) and value else None


def _ids(found: Any) -> list[int]:
    """Whoever uses them checks that they are the text's, so that a list with anything else in it counts as none."""
    if isinstance(found, list) and all(isinstance(one, int) and 0 <= one < 2**32 for one in found):
        return found
    return []


def _logprobs(found: Any) -> list[float]:
    if not isinstance(found, dict):
        return []
    values = found.get("token_logprobs")
    if not isinstance(values, list):
        content = found.get("content")
        values = [one.get("logprob") for one in content if isinstance(one, dict)] if isinstance(content, list) else []
    return [float(value) if isinstance(value, int | float) and math.isfinite(value) else NO_LOGPROB for value in values]
