"""The port to a model: what the orchestrator and the page extractor need of an engine, in one generation at a time.

Refuses to know: jobs, journals, tools. Above: the orchestrator and `tools.pages.extraction` (handed in by the wiring).
Below: one client or runtime a backend (`openai`, `extractive`), and `testing.ScriptedEngine` as in-memory twin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from literesearcher.engine.raw_call import RawCall, Token
from literesearcher.research.messages import Message, Sampling, Usage

DeltaSink = Callable[[str], Awaitable[None]]
"""Gets each piece of generated text as it arrives. Handing one in asks for streaming; None asks for none."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself."""

    kind: str
    model: str
    context_length: int
    language_model: bool = True
    """False for the extractive engine: its texts were written by no language model, and everything says so."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One generation. `program` is the job's id: the same for all turns of a job (routing, cache affinity)."""

    program: str
    messages: tuple[Message, ...]
    sampling: Sampling
    max_tokens: int
    turn: int = 0
    prefix_epoch: int = 0
    priority: int = 0
    purpose: str = "turn"
    """`turn`, `context_answer`, `compress`, `extract`, or `raw` for a caller's own."""
    prompt_tokens: int | None = None
    """About how many the prompt has."""
    last_replica: str | None = None
    """The replica that served the job's last turn, as its `Generation` said, whoever held the job then."""
    kept_tokens: int = 0
    """Tokens of this prompt that it has seen."""
    raw: RawCall | None = None
    """What a caller of the raw model asks beyond that; only runtimes of this program take it, no server's client."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What came back. `text` as generated, stop string cut off; the rest None or empty where the server is silent."""

    text: str
    finish_reason: str
    usage: Usage
    model: str
    opened_thought: bool = False
    matched_stop: str | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    tokens: tuple[Token, ...] | None = None
    """For a caller of the raw model who asked for logprobs: the tokens of the text, one by one."""
    engine_fingerprint: str | None = None
    weights_fingerprint: str | None = None
    replica: str | None = None
    """The replica that served it, where there are several."""
    routing: str | None = None
    """Why it was sent there: a label of the router's."""


class Engine(Protocol):
    """A model backend. Makes one try a call: retries have one owner, above.

    Errors of `describe` and `generate`: `PromptTooLong`; `BoundaryError` with code `engine_unreachable`,
    `engine_timeout`, `engine_busy` (429/503, with `retry_after`), `engine_error` (5xx), `engine_garbage` (unreadable
    or half an answer), `engine_rejected` (400), `engine_unauthorized` (401/403), `transient` set rightly.
    Cancelling `generate` closes the call to the server at once.
    """

    async def describe(self) -> EngineInfo:
        """Model and context length, asked of the server once and remembered."""
        ...

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        """One generation within `timeout_seconds`."""
        ...

    def count_tokens(self, text: str) -> int | None:
        """Tokens of `text` by the model's own tokenizer (no special tokens added), None where there is none."""
        ...

    async def aclose(self) -> None:
        """Close connections. Safe to call twice."""
        ...
