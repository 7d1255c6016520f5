"""The next token of one generation, out of the model's scores.

Owns: that every field of `Sampling` acts, in SGLang's order (penalties, temperature, then what is kept), by
Transformers' own processors where it has them. Refuses to know: models, text. Above: `engine.transformers.runtime`.
torch and Transformers are imported when the first sampler is made.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from literesearcher.engine.raw_call import RawCall
from literesearcher.research.messages import Sampling

Processor = Callable[[Any, Any], Any]
"""Token ids (1, n) and scores (1, vocabulary) in, scores out: the form of Transformers' logits processors."""


class PresencePenalty:
    """Takes `penalty` off the score of every token that was generated already; the prompt's own are no matter.
    Transformers has no processor for it."""

    def __init__(self, penalty: float, prompt_tokens: int) -> None:
        self._penalty = penalty
        self._prompt_tokens = prompt_tokens

    def __call__(self, ids: Any, scores: Any) -> Any:
        """The scores with the penalty taken off."""
        generated = ids[0, self._prompt_tokens :].unique()
        scores = scores.clone()
        scores[:, generated] -= self._penalty
        return scores


class FrequencyPenalty:
    """Takes `penalty` off for each time that a token was generated."""

    def __init__(self, penalty: float, prompt_tokens: int) -> None:
        self._penalty = penalty
        self._prompt_tokens = prompt_tokens

    def __call__(self, ids: Any, scores: Any) -> Any:
        """The scores with the penalties taken off."""
        generated, counts = ids[0, self._prompt_tokens :].unique(return_counts=True)
        scores = scores.clone()
        scores[:, generated] -= self._penalty * counts.to(scores.dtype)
        return scores


class Biases:
    """Adds to the scores of the tokens that a caller names."""

    def __init__(self, biases: tuple[tuple[int, float], ...]) -> None:
        self._biases = biases

    def __call__(self, ids: Any, scores: Any) -> Any:
        """The scores with the biases added."""
        scores = scores.clone()
        for token, bias in self._biases:
            scores[:, token] += bias
        return scores


class NotYet:
    """Leaves no way to end before `least` tokens."""

    def __init__(self, least: int, ends: Collection[int], prompt_tokens: int) -> None:
        self._least = least
        self._ends = list(ends)
        self._prompt_tokens = prompt_tokens

    def __call__(self, ids: Any, scores: Any) -> Any:
        """The scores, those of ending tokens at minus infinity for so long."""
        if ids.shape[1] - self._prompt_tokens >= self._least:
            return scores
        scores = scores.clone()
        scores[:, self._ends] = float("-inf")
        return scores


@dataclass(frozen=True, slots=True)
class Choice:
    """A token, its log probability, and the likeliest in its place: as SGLang tells them, after penalties and
    temperature, before anything is left out."""

    token: int
    logprob: float
    others: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses the tokens of one generation, with a source of chance of its own."""

    def __init__(
        self,
        sampling: Sampling,
        *,
        prompt_tokens: int,
        device: str,
        raw: RawCall | None = None,
        ends: Collection[int] = (),
    ) -> None:
        """`ends`: the tokens that end a generation, which `raw` may put off."""
        self._torch: Any = importlib.import_module("torch")
        has: Any = importlib.import_module("transformers")
        self._greedy = sampling.temperature <= 0
        self._shaping: list[Processor] = []
        self._keeping: list[Processor] = []
        if sampling.repetition_penalty != 1:
            self._shaping.append(has.RepetitionPenaltyLogitsProcessor(penalty=float(sampling.repetition_penalty)))
        if sampling.presence_penalty:
            self._shaping.append(PresencePenalty(sampling.presence_penalty, prompt_tokens))
        if raw is not None:
            if raw.frequency_penalty:
                self._shaping.append(FrequencyPenalty(raw.frequency_penalty, prompt_tokens))
            if raw.min_tokens and ends:
                self._shaping.append(NotYet(raw.min_tokens, ends, prompt_tokens))
            if raw.logit_bias:
                self._shaping.append(Biases(raw.logit_bias))
        self._told = raw.top_logprobs if raw is not None else 0
        if not self._greedy and sampling.temperature != 1:
            self._shaping.append(has.TemperatureLogitsWarper(float(sampling.temperature)))
        if sampling.top_k > 0:
            self._keeping.append(has.TopKLogitsWarper(top_k=sampling.top_k))
        if sampling.top_p < 1:
            self._keeping.append(has.TopPLogitsWarper(top_p=float(sampling.top_p)))
        if sampling.min_p > 0:
            self._keeping.append(has.MinPLogitsWarper(min_p=float(sampling.min_p)))
        self._chance = self._torch.Generator(device=device)
        if sampling.seed is None:
            self._chance.seed()
        else:
            self._chance.manual_seed(sampling.seed)

    def choose(self, ids: Any, scores: Any) -> Choice:
        """The next token after `ids` (1, n). `scores` (1, vocabulary) in float32."""
        for process in self._shaping:
            scores = process(ids, scores)
        logprobs = scores.log_softmax(-1)
        if self._greedy:
            token = int(scores[0].argmax())
        else:
            for process in self._keeping:
                scores = process(ids, scores)
            token = int(self._torch.multinomial(scores.softmax(-1)[0], 1, generator=self._chance))
        return Choice(token, float(logprobs[0, token]), self._likeliest(logprobs[0]))

    def _likeliest(self, logprobs: Any) -> tuple[tuple[int, float], ...]:
        if not self._told:
            return ()
        best = logprobs.topk(min(self._told, logprobs.shape[0]))
        return tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
