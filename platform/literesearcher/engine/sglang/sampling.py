"""One generation as SGLang's sampling parameters and priority.

Owns: the name of each field there, and what is first in the queue. Refuses to know: SGLang's processes.
Above: `engine.sglang.engine`. Below: `research.messages`.
"""

from __future__ import annotations

from typing import Any

from literesearcher.engine.port import GenerationRequest
from literesearcher.engine.raw_call import RawCall
from literesearcher.engine.sglang.failures import refused

HEALTH_PRIORITY = 100_000
"""Above every job's: a check that queues says nothing."""
_CLASSES = {"turn": 2, "context_answer": 2, "raw": 2, "compress": 1, "extract": 0}
"""At one job priority, a turn before the summaries that shorten a history, and both before the reading of pages."""


def sampling_params(request: GenerationRequest, *, deterministic: bool = False) -> dict[str, Any]:
    """The dictionary that SGLang takes; ranges are checked by SGLang itself. BoundaryError `engine_rejected` for what
    a deterministic SGLang's scheduler would end at."""
    sampling = request.sampling
    if deterministic and sampling.min_p > 0:
        raise refused("min_p cannot be used with LITERESEARCHER_SGLANG__DETERMINISTIC=true")
    params: dict[str, Any] = {
        "max_new_tokens": request.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        # Off is 0 for some servers; SGLang knows -1 alone.
        "top_k": sampling.top_k if sampling.top_k > 0 else -1,
        "min_p": sampling.min_p,
        "presence_penalty": sampling.presence_penalty,
        "repetition_penalty": sampling.repetition_penalty,
        "stop": [one for one in sampling.stop if one],
    }
    if sampling.seed is not None:
        params["sampling_seed"] = sampling.seed
    if request.raw is not None:
        params |= _raw_params(request.raw)
    return params


def _raw_params(raw: RawCall) -> dict[str, Any]:
    params: dict[str, Any] = {
        "frequency_penalty": raw.frequency_penalty,
        "min_new_tokens": raw.min_tokens,
        "ignore_eos": raw.ignore_eos,
    }
    if raw.stop_token_ids:
        params["stop_token_ids"] = list(raw.stop_token_ids)
    if raw.logit_bias:
        params["logit_bias"] = {str(token): bias for token, bias in raw.logit_bias}
    return params


def priority(request: GenerationRequest) -> int:
    """Higher is earlier: the job's own first, then what the generation is for."""
    return request.priority * 10 + _CLASSES.get(request.purpose, 0)
