"""The port to page extraction, and its form by a language model (`passage_extraction` is the one without).

Owns: the port, the tries, what is asked of a model. Refuses to know: which engine answers, page fetching, texts.
Above: `tools.visit`. The neighbouring engine comes in as a `Completer`, which the wiring adapts:

    class EngineCompleter:
        def __init__(self, engine: Engine) -> None:
            self._engine = engine

        async def complete(self, messages, *, sampling, max_tokens, timeout_seconds, program) -> Completion:
            request = GenerationRequest(program, messages, sampling, max_tokens, purpose="extract")
            generation = await self._engine.generate(request, timeout_seconds=timeout_seconds)
            return Completion(generation.text, generation.usage)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Message, Profile, Sampling, Usage
from literesearcher.timing.clock import Clock
from literesearcher.timing.retry import RetryPolicy, retrying
from literesearcher.tools.pages.extraction_json import extraction_of

SAMPLING = Sampling(temperature=0.7, presence_penalty=0.0, stop=())
"""Temperature as published; the penalty against repetition would keep a model from quoting its page."""
TRIES = 2
MAX_NEW_TOKENS: dict[Profile, int] = {"inference": 12_000, "training": 6_000}
PAGE_TOKENS: dict[Profile, int] = {"inference": 95_000, "training": 32_000}
_BUSY = RetryPolicy(tries=3, first_seconds=0.5, max_seconds=10.0)
"""For a model server that is busy or gone for a moment; such a try does not count as one of the two."""
_PROMPT_RESERVE = 2_000
"""Tokens left for the extraction prompt itself and the goal."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What an extractor found. `fields` None: nothing could be read out of its output."""

    fields: dict[str, str] | None
    usage: Usage | None = None


class Extractor(Protocol):
    """Finds in a page what the goal asks for. Raises nothing but cancellation: a failure is an empty `Extraction`."""

    @property
    def cache_key(self) -> str:
        """What about it changes its answers: prompt digest, model. Never a secret."""
        ...

    def page_tokens(self, profile: Profile) -> int:
        """Tokens of a page that it can read at most."""
        ...

    async def extract(self, page: str, goal: str, *, profile: Profile, timeout_seconds: float) -> Extraction:
        """One page and one goal."""
        ...


@dataclass(frozen=True, slots=True)
class Completion:
    """Text that a model wrote, and what it cost."""

    text: str
    usage: Usage = field(default_factory=Usage)


class Completer(Protocol):
    """What extraction needs of an engine. Errors as `engine.port.Engine.generate`."""

    async def complete(
        self,
        messages: tuple[Message, ...],
        *,
        sampling: Sampling,
        max_tokens: int,
        timeout_seconds: float,
        program: str,
    ) -> Completion:
        """One generation, one try."""
        ...


class ExtractorPrompt(Protocol):
    """What extraction needs of `research.prompts.Prompts`."""

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 hex by prompt name."""
        ...

    def render_extractor(self, page: str, goal: str) -> str:
        """The extraction prompt with the page and the goal in it."""
        ...


class EngineExtractor:
    """Extraction by a language model: two tries for JSON with `rational`, `evidence`, `summary`."""

    def __init__(
        self,
        completer: Completer,
        prompts: ExtractorPrompt,
        *,
        clock: Clock,
        model: str = "",
        context_length: int | None = None,
    ) -> None:
        self._completer = completer
        self._prompts = prompts
        self._clock = clock
        self._context = context_length
        self.cache_key = f"engine {model} {prompts.digests.get('extractor', '')}"

    def _new_tokens(self, profile: Profile) -> int:
        return min(MAX_NEW_TOKENS[profile], self._context // 4) if self._context else MAX_NEW_TOKENS[profile]

    def page_tokens(self, profile: Profile) -> int:
        """95,000 (training 32,000), less where the model's context is smaller."""
        limit = PAGE_TOKENS[profile]
        if self._context:
            limit = min(limit, max(512, self._context - self._new_tokens(profile) - _PROMPT_RESERVE))
        return limit

    async def extract(self, page: str, goal: str, *, profile: Profile, timeout_seconds: float) -> Extraction:
        """Two tries within `timeout_seconds`; a prompt that the server calls too long is cut and sent again."""
        deadline = self._clock.monotonic() + timeout_seconds
        spent: Usage | None = None
        tried = 0
        while tried < TRIES:
            try:
                completion = await self._complete(page, goal, profile, deadline)
            except PromptTooLong:
                if len(page) < 2_000:
                    break
                page = page[: len(page) * 7 // 10]
                continue
            except BoundaryError:
                break
            tried += 1
            spent = _sum(spent, completion.usage)
            fields = await extraction_of(completion.text)
            if fields is not None:
                return Extraction(fields, spent)
        return Extraction(None, spent)

    async def _complete(self, page: str, goal: str, profile: Profile, deadline: float) -> Completion:
        messages = (Message("user", self._prompts.render_extractor(page, goal)),)

        async def once() -> Completion:
            return await self._completer.complete(
                messages,
                sampling=SAMPLING,
                max_tokens=self._new_tokens(profile),
                timeout_seconds=max(0.001, deadline - self._clock.monotonic()),
                program="extract",
            )

        return await retrying(once, policy=_BUSY, clock=self._clock, deadline=deadline)


def sum_usage(parts: Sequence[Usage]) -> Usage | None:
    """Of several generations; None of none."""
    whole: Usage | None = None
    for part in parts:
        whole = _sum(whole, part)
    return whole


def _sum(one: Usage | None, other: Usage) -> Usage:
    if one is None:
        return other
    cached = None if one.cached_tokens is None else one.cached_tokens + (other.cached_tokens or 0)
    return replace(
        one,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
        cached_tokens=cached,
    )
