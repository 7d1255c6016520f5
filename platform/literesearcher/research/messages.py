"""Messages, sampling and limits: the plain values that the machine, the engines and the journal share.

Owns: what a message is and its JSON form on an OpenAI-style wire. Refuses to know: who sends it, where, when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import orjson

Role = Literal["system", "user", "assistant"]
Profile = Literal["inference", "training"]
QuestionForm = Literal["bare", "space", "label"]
AtContextLimit = Literal["answer", "compress"]


@dataclass(frozen=True)
class Message:
    """One message of a conversation. `content` is what a model that takes text reads: as generated, and with text from
    outside spelled so that it closes no frame and opens none (`outside_text`)."""

    role: Role
    content: str
    opened_thought: bool | None = field(default=None, compare=False)
    """Assistant: True where its prompt ended in `<think>\\n`, which `content` therefore lacks; None where unknown."""
    token_ids: str | None = field(default=None, compare=False)
    """Assistant: the generated token ids as the server gave them (little-endian uint32, base64)."""
    outside: tuple[tuple[int, int], ...] = field(default=(), compare=False)
    """From where to where `received` came from outside, in order."""
    unescaped: str | None = field(default=None, compare=False)
    """The content with the outside text as it was received, None where that is the same."""

    @property
    def received(self) -> str:
        """The content as it was received: for renderers of token ids and for programs, never for a model's text."""
        return self.content if self.unescaped is None else self.unescaped

    @property
    def parts(self) -> Iterator[tuple[str, bool]]:
        """(text, whether it came from outside) of `received`, in order."""
        at = 0
        for start, end in self.outside:
            if at < start:
                yield self.received[at:start], False
            if start < end:
                yield self.received[start:end], True
            at = end
        if at < len(self.received):
            yield self.received[at:], False

    @cached_property
    def wire(self) -> bytes:
        """`{"role": …, "content": …}` as UTF-8 JSON, made once: a history is serialised only where it grows."""
        return orjson.dumps({"role": self.role, "content": self.content})


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling as the model was published with. Every field reaches the engine.

    Defaults are the model card's; the stop strings keep the model from writing a tool's result itself.
    """

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 20
    min_p: float = 0.0
    presence_penalty: float = 1.1
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ("<tool_response>", "\n<tool_response>")
    seed: int | None = None
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a job ends whatever it holds. None = no limit of that kind. Published: 100 turns, 9,000 s."""

    max_turns: int = 100
    max_tool_calls: int | None = None
    max_tool_cost_usd: float | None = None
    """By the operator's price list."""
    max_tokens: int | None = None
    """Prompt (counted once, as it grows) and generated tokens of the whole job."""
    timeout_seconds: float = 9000.0
    max_new_tokens: int = 10_000
    """New tokens of one turn at most."""
    context_length: int | None = None
    """Tokens of context to use at most; the engine's own limit holds too."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, or summed over a job. `cached_tokens` None where the server does not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model wrote: the tool's name and its arguments as parsed."""

    name: str
    arguments: dict[str, object] = field(default_factory=dict)
