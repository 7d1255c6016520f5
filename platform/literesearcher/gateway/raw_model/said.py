"""What engines generated, in OpenAI's form: whole, or chunk by chunk.

Owns: the objects of chat and text completions, log probabilities of tokens, usage. Refuses to know: engines, how the
pieces travel. Above: `raw_model.engine_model`. Below: `raw_model.asked`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from literesearcher.engine.port import Generation
from literesearcher.engine.raw_call import Token
from literesearcher.gateway.raw_model.asked import Asked

NO_LOGPROB = -9999.0
"""OpenAI's number for a token that was as good as impossible."""


@dataclass(frozen=True, slots=True)
class Form:
    """One answer: its `id`, when it was begun (seconds since 1970), the model that wrote it."""

    asked: Asked
    id: str
    created: int
    model: str

    def whole(self, generations: Sequence[Generation]) -> bytes:
        """The answer at once, one choice a generation."""
        choices = [self._choice(at, one) for at, one in enumerate(generations)]
        kind = "chat.completion" if self.asked.chat else "text_completion"
        return orjson.dumps(self._head(kind) | {"choices": choices, "usage": self._usage(generations)})

    def begin(self, at: int) -> bytes:
        """The chunk that opens a choice, nothing for a text completion."""
        return self._chunk(at, {"role": "assistant", "content": ""}) if self.asked.chat else b""

    def piece(self, at: int, text: str) -> bytes:
        """A chunk with more text."""
        return self._chunk(at, {"content": text} if self.asked.chat else text)

    def end(self, at: int, generation: Generation) -> bytes:
        """The chunk that ends a choice. What is told of tokens is told here, of all of them."""
        return self._chunk(at, {} if self.asked.chat else "", generation)

    def last(self, generations: Sequence[Generation]) -> bytes:
        """What ends the stream."""
        usage = b""
        if self.asked.wants_usage:
            usage = _event(self._head(self._chunk_kind) | {"choices": [], "usage": self._usage(generations)})
        return usage + b"data: [DONE]\n\n"

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.asked.chat else "text_completion"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _choice(self, at: int, generation: Generation) -> dict[str, Any]:
        said: dict[str, Any] = {"text": generation.text}
        if self.asked.chat:
            said = {"message": {"role": "assistant", "content": generation.text}}
        return {"index": at, **said, **self._ended(generation)}

    def _chunk(self, at: int, said: str | dict[str, str], ended: Generation | None = None) -> bytes:
        choice: dict[str, Any] = {"index": at, "delta" if self.asked.chat else "text": said}
        choice |= self._ended(ended) if ended is not None else {"logprobs": None, "finish_reason": None}
        return _event(self._head(self._chunk_kind) | {"choices": [choice]})

    def _ended(self, generation: Generation) -> dict[str, Any]:
        ended: dict[str, Any] = {
            "logprobs": self._logprobs(generation.tokens or ()) if self.asked.top_logprobs is not None else None,
            "finish_reason": generation.finish_reason,
            "matched_stop": generation.matched_stop,
        }
        if self.asked.wants_ids:
            ended["token_ids"] = list(generation.token_ids) if generation.token_ids is not None else None
        return ended

    def _logprobs(self, tokens: Sequence[Token]) -> dict[str, Any]:
        if self.asked.chat:
            told = [
                _token(one.text, one.logprob) | {"top_logprobs": [_token(text, said) for text, said in one.others]}
                for one in tokens
            ]
            return {"content": told, "refusal": None}
        offsets, at = [], 0
        for one in tokens:
            offsets.append(at)
            at += len(one.text)
        return {
            "tokens": [one.text for one in tokens],
            "token_logprobs": [_finite(one.logprob) for one in tokens],
            "top_logprobs": [{text: _finite(said) for text, said in one.others} for one in tokens]
            if self.asked.top_logprobs
            else None,
            "text_offset": offsets,
        }

    def _usage(self, generations: Sequence[Generation]) -> dict[str, Any]:
        # Each prompt counts once, however many choices it has.
        prompts = generations[:: self.asked.n]
        prompt = sum(one.usage.prompt_tokens for one in prompts)
        written = sum(one.usage.completion_tokens for one in generations)
        cached = [one.usage.cached_tokens for one in prompts if one.usage.cached_tokens is not None]
        return {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": sum(cached)} if cached else None,
        }


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(content) + b"\n\n"


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": _finite(logprob), "bytes": list(text.encode())}


def _finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else NO_LOGPROB
