"""The next token of one generation, out of the model's scores.

Owns: that every field of `Sampling` acts, in SGLang's order (penalties, temperature, then what is kept), by
Transformers' own processors where it has them. Refuses to know: models, text. Above: `engine.transformers.runtime`.
torch and Transformers are imported when the first sampler is made.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

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


class Sampler:
    """Chooses the tokens of one generation, with a source of chance of its own."""

    def __init__(self, sampling: Sampling, *, prompt_tokens: int, device: str) -> None:
        self._torch: Any = importlib.import_module("torch")
        has: Any = importlib.import_module("transformers")
        self._greedy = sampling.temperature <= 0
        self._shaping: list[Processor] = []
        self._keeping: list[Processor] = []
        if sampling.repetition_penalty != 1:
            self._shaping.append(has.RepetitionPenaltyLogitsProcessor(penalty=float(sampling.repetition_penalty)))
        if sampling.presence_penalty:
            self._shaping.append(PresencePenalty(sampling.presence_penalty, prompt_tokens))
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

    def choose(self, ids: Any, scores: Any) -> tuple[int, float]:
        """The next token after `ids` (1, n), and its log probability as SGLang tells it: after penalties and
        temperature, before anything is left out. `scores` (1, vocabulary) in float32."""
        for process in self._shaping:
            scores = process(ids, scores)
        logprobs = scores.log_softmax(-1)
        if self._greedy:
            token = int(scores[0].argmax())
        else:
            for process in self._keeping:
                scores = process(ids, scores)
            token = int(self._torch.multinomial(scores.softmax(-1)[0], 1, generator=self._chance))
        return token, float(logprobs[0, token])
