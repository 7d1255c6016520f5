"""A request in OpenAI's form as generations: what each field means, what it may hold.

Owns: fields, ranges, and that a field which an engine cannot carry is refused by its name, never dropped. Refuses to
know: engines, answers. Above: `raw_model.engine_model`. Below: `raw_model.prompts` (messages and prompts),
`engine.raw_call`. Ranges are OpenAI's and SGLang's; what an engine would end over is none of a caller's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from literesearcher.engine.port import GenerationRequest
from literesearcher.engine.raw_call import RawCall
from literesearcher.errors import CallerError
from literesearcher.gateway.openai_errors import CHAT
from literesearcher.gateway.raw_model.prompts import messages_of, prompts_of
from literesearcher.research.messages import Sampling

MAX_CHAT_TOKENS = 10_000
"""Of a chat that names no limit: what a turn of the model may have."""
MAX_COMPLETION_TOKENS = 16
"""Of a completion that names none, as in OpenAI's API and SGLang's."""
MAX_CHOICES = 128
_MAX_STOPS, _STOP_CHARACTERS = 64, 4096
_MAX_IDS = 4096
"""Ids that a request may name to stop at or to favour: a million take the process seconds before anything is asked."""
_LARGEST = 2**31 - 1
_CARD = Sampling()
"""What the model card says, where a request says nothing: as servers take it from the checkpoint."""

NUMBERS: dict[str, tuple[float, float, bool]] = {
    "temperature": (0.0, 100.0, True),
    "top_p": (0.0, 1.0, False),
    "min_p": (0.0, 1.0, True),
    "presence_penalty": (-2.0, 2.0, True),
    "frequency_penalty": (-2.0, 2.0, True),
    "repetition_penalty": (0.0, 2.0, False),
}
"""(least, most, whether the least itself is one)."""
WHOLE: dict[str, tuple[int, int]] = {
    "top_k": (-1, _LARGEST),
    "seed": (-(2**63), 2**63 - 1),
    "n": (1, MAX_CHOICES),
    "best_of": (1, MAX_CHOICES),
    "min_tokens": (0, _LARGEST),
    "max_tokens": (1, _LARGEST),
    "max_completion_tokens": (1, _LARGEST),
    "top_logprobs": (0, 20),
    # Only where the server that asks is trusted: the gateway lets no caller name it.
    "priority": (-(2**31), _LARGEST),
}
FLAGS = ("stream", "ignore_eos", "return_token_ids")
_SHARED = {"model", "stream_options", "stop", "stop_token_ids", "logit_bias", "logprobs", *NUMBERS, *WHOLE, *FLAGS}
_IGNORED = frozenset({"user", "metadata", "safety_identifier", "prompt_cache_key"})
"""They say who asks, and ask for nothing."""
_NOTHING: dict[str, tuple[Any, ...]] = {
    "echo": (False,),
    "suffix": ("",),
    "store": (False,),
    "service_tier": ("auto", "default"),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "no_stop_trim": (False,),
    "continue_final_message": (False,),
    "chat_template_kwargs": ({},),
}
"""Fields that may be there as long as they ask for nothing that is not so anyway."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`requests`: one a choice, `n` of each prompt, prompts in their order."""

    chat: bool
    requests: tuple[GenerationRequest, ...]
    n: int
    stream: bool
    wants_usage: bool
    wants_ids: bool
    top_logprobs: int | None
    """Alternatives told of each token; None where nothing is told of tokens."""


def read_asked(path: str, body: Mapping[str, Any]) -> Asked:
    """What a body asks on one of the two routes. CallerError names the field."""
    chat = path == CHAT
    _check_names(body, chat=chat)
    number = {name: _number(name, body[name]) for name in NUMBERS if body.get(name) is not None}
    whole = {name: _whole(name, body[name]) for name in WHOLE if body.get(name) is not None}
    flag = {name: _flag(name, body.get(name)) for name in FLAGS}
    told = _told(body.get("logprobs"), whole.get("top_logprobs"), chat=chat)
    limit = whole.get("max_completion_tokens") or whole.get("max_tokens")
    n = whole.get("n", 1)
    if whole.get("best_of", n) != n:
        raise CallerError("best_of may only be what n is", code="unsupported_field", field="best_of")
    if limit is not None and whole.get("min_tokens", 0) > limit:
        raise CallerError("min_tokens is above max_tokens", code="bad_request", field="min_tokens")
    raw = RawCall(
        frequency_penalty=number.get("frequency_penalty", 0.0),
        logit_bias=_biases(body.get("logit_bias")),
        stop_token_ids=_ids("stop_token_ids", body.get("stop_token_ids")),
        min_tokens=whole.get("min_tokens", 0),
        ignore_eos=flag["ignore_eos"],
        top_logprobs=told or 0,
        fits=limit is None,
    )
    sampling = Sampling(
        temperature=number.get("temperature", _CARD.temperature),
        top_p=number.get("top_p", _CARD.top_p),
        top_k=max(0, whole.get("top_k", _CARD.top_k)),
        min_p=number.get("min_p", 0.0),
        presence_penalty=number.get("presence_penalty", 0.0),
        repetition_penalty=number.get("repetition_penalty", 1.0),
        stop=_stops(body.get("stop")),
        seed=whole.get("seed"),
        logprobs=told is not None,
    )
    request = GenerationRequest(
        program="",
        messages=messages_of(body.get("messages")) if chat else (),
        sampling=sampling,
        max_tokens=limit or (MAX_CHAT_TOKENS if chat else MAX_COMPLETION_TOKENS),
        priority=whole.get("priority", 0),
        purpose="raw",
        raw=raw,
    )
    each = [request] if chat else [replace(request, raw=replace(raw, prompt=one)) for one in prompts_of(body)]
    if len(each) * n > MAX_CHOICES:
        raise CallerError(f"more than {MAX_CHOICES} choices in one request", code="bad_request", field="n")
    return Asked(
        chat=chat,
        requests=tuple(_another(one, choice) for one in each for choice in range(n)),
        n=n,
        stream=flag["stream"],
        wants_usage=_wants_usage(body.get("stream_options")),
        wants_ids=flag["return_token_ids"],
        top_logprobs=told,
    )


def _check_names(body: Mapping[str, Any], *, chat: bool) -> None:
    known = _SHARED | {"messages" if chat else "prompt"}
    for name, value in body.items():
        if name in known or name in _IGNORED or value is None:
            continue
        if not any(type(value) is type(one) and value == one for one in _NOTHING.get(name, ())):
            raise CallerError(f"{name[:100]} cannot be asked for here", code="unsupported_field", field=name[:100])


def _another(request: GenerationRequest, choice: int) -> GenerationRequest:
    """One of several choices: with the same seed all would say the same."""
    seed = request.sampling.seed
    if seed is None or not choice:
        return request
    # Within 64 bits, whatever the seed.
    seed = (seed + choice + 2**63) % 2**64 - 2**63
    return replace(request, sampling=replace(request.sampling, seed=seed))


def _number(name: str, value: Any) -> float:
    least, most, itself = NUMBERS[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CallerError(f"{name} must be a number", code="bad_request", field=name)
    if not least <= value <= most or (value == least and not itself):
        raise CallerError(
            f"{name} must be {'from' if itself else 'above'} {least:g} to {most:g}", code="bad_request", field=name
        )
    return float(value)


def _whole(name: str, value: Any) -> int:
    least, most = WHOLE[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise CallerError(f"{name} must be a whole number from {least} to {most}", code="bad_request", field=name)
    return value


def _flag(name: str, value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise CallerError(f"{name} must be true or false", code="bad_request", field=name)
    return bool(value)


def _told(logprobs: Any, top: int | None, *, chat: bool) -> int | None:
    """How many alternatives are told of each token, None where nothing is. A chat says yes and how many; a completion
    says the number at once."""
    if chat:
        if top and not _flag("logprobs", logprobs):
            raise CallerError("top_logprobs needs logprobs", code="bad_request", field="top_logprobs")
        return (top or 0) if _flag("logprobs", logprobs) else None
    if top is not None:
        raise CallerError("a completion says the number in logprobs", code="unsupported_field", field="top_logprobs")
    if logprobs is None or logprobs is False:
        return None
    if isinstance(logprobs, bool) or not isinstance(logprobs, int) or not 0 <= logprobs <= 20:
        raise CallerError("logprobs must be a whole number from 0 to 20", code="bad_request", field="logprobs")
    return logprobs


def _stops(given: Any) -> tuple[str, ...]:
    stops = (given,) if isinstance(given, str) else () if given is None else given
    if (
        not isinstance(stops, list | tuple)
        or len(stops) > _MAX_STOPS
        or not all(isinstance(one, str) and 0 < len(one) <= _STOP_CHARACTERS for one in stops)
    ):
        raise CallerError("stop must be a text or a list of texts", code="bad_request", field="stop")
    return tuple(stops)


def _ids(name: str, given: Any) -> tuple[int, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not all(type(one) is int and 0 <= one <= _LARGEST for one in given):
        raise CallerError(f"{name} must be a list of token ids", code="bad_request", field=name)
    if len(given) > _MAX_IDS:
        raise CallerError(f"{name} names more than {_MAX_IDS} token ids", code="bad_request", field=name)
    return tuple(given)


def _biases(given: Any) -> tuple[tuple[int, float], ...]:
    if given is None:
        return ()
    fault = CallerError(
        "logit_bias must name token ids, each with a number from -100 to 100", code="bad_request", field="logit_bias"
    )
    if not isinstance(given, dict):
        raise fault
    if len(given) > _MAX_IDS:
        raise CallerError(f"logit_bias names more than {_MAX_IDS} token ids", code="bad_request", field="logit_bias")
    found = []
    for token, bias in given.items():
        if not (token.isascii() and token.isdecimal() and len(token) < 10):
            raise fault
        if isinstance(bias, bool) or not isinstance(bias, int | float) or not -100 <= bias <= 100:
            raise fault
        found.append((int(token), float(bias)))
    return tuple(found)


def _wants_usage(options: Any) -> bool:
    if options is not None and not isinstance(options, dict):
        raise CallerError("stream_options must be an object", code="bad_request", field="stream_options")
    return _flag("stream_options", (options or {}).get("include_usage"))
