"""What SGLang generated, as a `Generation`.

Owns: finish reasons, usage, ids as the next prompt will repeat them. Refuses to know: processes, streams.
Above: `engine.sglang.engine`, `engine.openai_generate`. Below: `engine.token_history`.
"""

from __future__ import annotations

from typing import Any

from literesearcher.engine.delivery import clean
from literesearcher.engine.port import Generation
from literesearcher.engine.raw_call import Token, told
from literesearcher.engine.sglang.failures import aborted, garbage
from literesearcher.engine.token_history import TokenHistory
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.research.messages import Usage


def generation_of(
    answer: dict[str, Any],
    *,
    history: TokenHistory,
    prompt_tokens: int,
    model: str,
    logprobs: bool,
    opens_thought: bool,
    tokenizer: Tokenizer | None = None,
) -> Generation:
    """BoundaryError where SGLang broke the request off or its answer cannot be read. With a `tokenizer`, tokens are
    told one by one where `logprobs` are."""
    meta = answer.get("meta_info") or {}
    reason = meta.get("finish_reason")
    if not isinstance(reason, dict):
        raise garbage("half an answer")
    if reason.get("type") == "abort":
        raise aborted(reason)
    matched = reason.get("matched")
    text = clean(str(answer.get("text") or ""))
    ids: list[int] = answer.get("output_ids") or []
    settled = history.settled(ids, text)
    return Generation(
        text=text,
        finish_reason=str(reason.get("type")),
        usage=Usage(prompt_tokens, int(meta.get("completion_tokens") or len(ids)), _number(meta.get("cached_tokens"))),
        model=model,
        opened_thought=opens_thought,
        matched_stop=matched if isinstance(matched, str) else None,
        token_ids=settled,
        logprobs=_logprobs(meta, len(settled or ids)) if logprobs else None,
        tokens=_tokens(meta, len(settled or ids), tokenizer) if logprobs and tokenizer is not None else None,
        weights_fingerprint=str(meta["weight_version"]) if meta.get("weight_version") else None,
    )


def _logprobs(meta: dict[str, Any], count: int) -> tuple[float, ...] | None:
    """One a token, of those that the text keeps."""
    given = meta.get("output_token_logprobs")
    return tuple(float(one[0]) for one in given[:count]) if isinstance(given, list) else None


def _tokens(meta: dict[str, Any], count: int, tokenizer: Tokenizer) -> tuple[Token, ...] | None:
    given = meta.get("output_token_logprobs")
    if not isinstance(given, list):
        return None
    given = given[:count]
    best = meta.get("output_top_logprobs") or [()] * len(given)
    others = ([(int(one[1]), float(one[0])) for one in several or ()] for several in best)
    return told(tokenizer, [int(one[1]) for one in given], [float(one[0]) for one in given], others)


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) else None
