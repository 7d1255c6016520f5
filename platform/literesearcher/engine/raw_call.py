"""What callers of the raw model ask beyond what a job's turn has, and what they are told of each token.

Owns: the values, and what a vocabulary has no place for. Refuses to know: OpenAI's form (`gateway.raw_model`), jobs
(which ask none of this). Above: `engine.port`, the runtimes. Below: `engine.tokenizer`. Neighbour: `raw_prompts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import BoundaryError


@dataclass(frozen=True, slots=True)
class RawCall:
    """Defaults ask for nothing. Ranges as in OpenAI's API."""

    prompt: str | tuple[int, ...] | None = None
    """The whole prompt, in place of messages: as token ids, or as text in which control tokens are what they say."""
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, what is added to its score)."""
    stop_token_ids: tuple[int, ...] = ()
    min_tokens: int = 0
    ignore_eos: bool = False
    top_logprobs: int = 0
    """Alternatives told of each token, with `Sampling.logprobs`."""
    fits: bool = False
    """The caller named no limit: `max_tokens` is the most, and less where the context has less left."""

    def new_tokens(self, most: int, left: int) -> int:
        """How many tokens may be generated, where the context has `left`."""
        return max(1, min(most, left)) if self.fits else most


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token. `others`: the likeliest in its place, best first, itself among them where it is one."""

    id: int
    text: str
    logprob: float
    others: tuple[tuple[str, float], ...] = ()


def check_vocabulary(raw: RawCall, vocabulary: int) -> None:
    """BoundaryError `engine_rejected` where a token that is asked for is none: a runtime would end over it."""
    for name, ids in (("stop_token_ids", raw.stop_token_ids), ("logit_bias", [one for one, _ in raw.logit_bias])):
        if any(not 0 <= one < vocabulary for one in ids):
            raise BoundaryError(
                f"{name} names a token outside the model's vocabulary of {vocabulary}",
                code="engine_rejected",
                transient=False,
            )


def told(
    tokenizer: Tokenizer,
    ids: Sequence[int],
    logprobs: Sequence[float],
    others: Iterable[Sequence[tuple[int, float]]],
) -> tuple[Token, ...]:
    """What a caller is told, of as many tokens as all three have. Each id is decoded once: with twenty alternatives of
    each token they are hundreds of thousands, of few thousand ids."""
    texts: dict[int, str] = {}

    def text(one: int) -> str:
        if one not in texts:
            texts[one] = tokenizer.decode([one])
        return texts[one]

    return tuple(
        Token(one, text(one), logprob, tuple((text(id_), said) for id_, said in best))
        for one, logprob, best in zip(ids, logprobs, others, strict=False)
    )
