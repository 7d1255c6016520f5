"""A conversation as token ids, append-only: what is sent at turn n + 1 starts with what was sent and generated before.

Owns: which ids a message is. Frames and roles are the tokens of those names; text from outside is encoded by a
tokenizer that knows no such tokens, as it was received; what the model generated stays the ids that the server gave,
else its text encoded again, its own tags as their tokens. Only what came since is encoded.
Refuses to know: HTTP, where ids go. Below: `engine.tokenizer`, `research.messages`. Above: `engine.openai`.
"""

from __future__ import annotations

import base64
import binascii
import re
import sys
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import ConfigurationError
from literesearcher.research.messages import Message
from literesearcher.research.parsing import CALL, CALL_END, RESPONSE, RESPONSE_END, THINK, THINK_END

PROGRAMS = 1_000
"""Conversations remembered, the least recently used forgotten: about 250 kB each at 64k tokens."""
IM_START, IM_END = "<|im_start|>", "<|im_end|>"
_OWN_TAGS = (THINK, THINK_END, CALL, CALL_END, RESPONSE, RESPONSE_END)
_NOTHING: tuple[tuple[Message, ...], array[int]] = ((), array("I"))
_OVERRUN = 16
"""Ids that a server may give beyond the text: the stop string it cut, the token that ended the turn."""


class TokenHistory:
    """The conversations of one engine."""

    def __init__(self, tokenizer: Tokenizer, *, opens_thought: bool, programs: int = PROGRAMS) -> None:
        """ConfigurationError where the tokenizer is not one of ChatML."""
        start, end = tokenizer.token(IM_START), tokenizer.token(IM_END)
        if start is None or end is None:
            raise ConfigurationError(
                f"the tokenizer file names no tokens {IM_START} and {IM_END}: "
                "LITERESEARCHER_ENGINE__ENDPOINT=tokens needs those of a ChatML model, such as Qwen3"
            )
        self._tokenizer = tokenizer
        self._start, self._end = start, end
        self._own = {tag: number for tag in _OWN_TAGS if (number := tokenizer.token(tag)) is not None}
        self._tag = re.compile("|".join(map(re.escape, self._own)) or r"(?!)")
        self._opens_thought = opens_thought
        self._programs = programs
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[tuple[Message, ...], array[int]]] = OrderedDict()

    def prompt(self, messages: tuple[Message, ...], *, program: str = "") -> list[int]:
        """The ids of the conversation and of the opening of the assistant's next turn. With a `program` they are
        remembered, and its next call encodes only what is new. Safe to call from several threads."""
        before, known = self._known.get(program, _NOTHING)
        if not (len(before) <= len(messages) and all(map(_is, before, messages))):
            before, known = _NOTHING
        ids = known[:]
        for message in messages[len(before) :]:
            ids.extend(self._message(message))
        if program:
            with self._lock:
                self._known[program] = messages, ids
                self._known.move_to_end(program)
                while len(self._known) > self._programs:
                    self._known.popitem(last=False)
        return [*ids, *self._opening(self._opens_thought)]

    def new_characters(self, messages: tuple[Message, ...], program: str) -> int:
        """How much `prompt` would have to encode."""
        before, _ = self._known.get(program, _NOTHING)
        known = len(before) if len(before) <= len(messages) and all(map(_is, before, messages)) else 0
        return sum(len(message.received) for message in messages[known:])

    def settled(self, generated: Sequence[int], text: str) -> tuple[int, ...] | None:
        """The ids of `text` out of those that a server gave, None where they are not of this text. A server may give
        the ids of the stop string and of the turn's end too, which are no part of it."""
        ids = list(generated)
        for _ in range(_OVERRUN):
            while ids and ids[-1] == self._end:
                ids.pop()
            said = self._tokenizer.decode(ids)
            if said == text:
                return tuple(ids)
            if text.startswith(said):
                # A token held the last characters and the first of the stop string.
                return (*ids, *self._written(text[len(said) :])) if len(text) - len(said) < _OVERRUN else None
            if not ids:
                return None
            ids.pop()
        return None

    def _message(self, message: Message) -> Iterator[int]:
        if message.role == "assistant":
            opened = message.opened_thought
            if opened is None:
                opened = self._opens_thought and not message.content.startswith(THINK)
            yield from self._opening(opened)
            given = _unpacked(message.token_ids)
            yield from given if given is not None else self._written(message.content)
        else:
            yield self._start
            yield from self._encoded([(f"{message.role}\n", False), *message.parts])
        yield self._end
        yield from self._tokenizer.encode("\n")

    def _opening(self, opened: bool) -> list[int]:
        thought = self._written(f"{THINK}\n") if opened else []
        return [self._start, *self._tokenizer.encode("assistant\n"), *thought]

    def _written(self, text: str) -> list[int]:
        return list(self._encoded([(text, False)]))

    def _encoded(self, parts: Sequence[tuple[str, bool]]) -> Iterator[int]:
        """Our own tags as their tokens; everything between two of them encoded in one go, ours and from outside, as a
        tokenizer would meet it."""
        plain: list[str] = []
        for text, outside in parts:
            at = 0
            for tag in () if outside else self._tag.finditer(text):
                yield from self._tokenizer.encode("".join([*plain, text[at : tag.start()]]))
                yield self._own[tag.group()]
                plain.clear()
                at = tag.end()
            plain.append(text[at:])
        yield from self._tokenizer.encode("".join(plain))


def _is(one: Message, other: Message) -> bool:
    """The same message, or one that is equal in what comparison leaves out too (a journal was read anew)."""
    return one is other or (
        one == other
        and one.opened_thought == other.opened_thought
        and one.token_ids == other.token_ids
        and one.received == other.received
        and one.outside == other.outside
    )


def _unpacked(packed: str | None) -> array[int] | None:
    """Ids as the journal keeps them (little-endian uint32, base64)."""
    if not packed:
        return None
    ids = array("I")
    try:
        ids.frombytes(base64.b64decode(packed, validate=True))
    except (binascii.Error, ValueError):
        return None
    if sys.byteorder == "big":
        ids.byteswap()
    return ids
