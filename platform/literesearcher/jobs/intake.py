"""From what a caller asks for to a job that can be created: defaults, ranges, digest.

Owns: the defaults of each profile, the ranges of overrides, what text is let in. Every refusal is a `CallerError` that
names the field. Refuses to know: HTTP, command lines, stores. The `training` profile is the stage-1 form that the
model was trained in: 40 turns of at most 2,048 new tokens at temperature 0.7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, get_args

import orjson

from literesearcher.errors import CallerError
from literesearcher.jobs.model import NewJob
from literesearcher.jobs.tool_wishes import tool_options, wished
from literesearcher.research.events import JobCreated
from literesearcher.research.messages import AtContextLimit, Limits, Profile, QuestionForm, Role, Sampling
from literesearcher.research.prompts import Prompts
from literesearcher.research.tool_options import Fidelity
from literesearcher.settings.sections import ResearchSection

MAX_CHARACTERS = 100_000
"""Of a question, or of all messages together."""
MAX_MESSAGES = 1000
MAX_METADATA_BYTES = 16_384
MAX_KEY_CHARACTERS = 255
MAX_PRIORITY = 100

TRAINING_TURNS = 40
TRAINING_NEW_TOKENS = 2_048
TRAINING_TEMPERATURE = 0.7

Range = tuple[type, float, float]
_LIMITS: dict[str, Range] = {
    "max_turns": (int, 1, 1000),
    "max_tool_calls": (int, 1, 10_000),
    "max_tool_cost_usd": (float, 0, 1_000_000),
    "max_tokens": (int, 1, 1_000_000_000),
    "timeout_seconds": (float, 0.001, 604_800),
    "max_new_tokens": (int, 1, 131_072),
    "context_length": (int, 2048, 1_048_576),
}
_SAMPLING: dict[str, Range] = {
    "temperature": (float, 0, 2),
    "top_p": (float, 1e-6, 1),
    "top_k": (int, -1, 1_000_000),
    "min_p": (float, 0, 1),
    "presence_penalty": (float, -2, 2),
    "repetition_penalty": (float, 1e-6, 10),
    "seed": (int, 0, 2**63 - 1),
    "logprobs": (bool, 0, 1),
}
"""Smallest and largest value; the same as the engines take. The stop strings belong to the format: no override."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a caller asks for: exactly one of `input` and `messages`; None elsewhere is the platform's default."""

    input: str | None = None
    messages: list[dict[str, str]] | None = None
    profile: Profile | None = None
    question_form: QuestionForm | None = None
    at_context_limit: AtContextLimit | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    tools: Mapping[str, Any] = field(default_factory=dict)
    """`cache`, and `sources` as `research.tool_options.SourcePolicy` has them."""


def new_job(
    spec: JobSpec, *, tenant_id: str, research: ResearchSection, prompts: Prompts, now: datetime, fidelity: Fidelity
) -> NewJob:
    """The job, its date and deadline fixed at `now`, and what its tools' texts are like. Raises CallerError with the
    field at fault."""
    messages, question = _conversation(spec)
    profile: Profile = spec.profile or research.profile
    form: QuestionForm = spec.question_form or research.question_form
    at_limit: AtContextLimit = spec.at_context_limit or research.at_context_limit
    _choice("profile", profile, Profile)
    _choice("question_form", form, QuestionForm)
    _choice("at_context_limit", at_limit, AtContextLimit)
    limits = replace(_default_limits(profile, research), **_overrides("limits", spec.limits, _LIMITS))
    sampling = Sampling(temperature=TRAINING_TEMPERATURE) if profile == "training" else Sampling()
    sampling = replace(sampling, **_overrides("sampling", spec.sampling, _SAMPLING))
    created = JobCreated(
        input=question,
        system_prompt=prompts.system,
        current_date=now.date().isoformat(),
        profile=profile,
        question_form=form,
        at_context_limit=at_limit,
        sampling=sampling,
        limits=limits,
        deadline_at=now.timestamp() + limits.timeout_seconds,
        prompt_digests=prompts.digests,
        messages=messages,
        # What training read was as published; nothing may improve on it.
        tools=tool_options(spec.tools, fidelity="published" if profile == "training" else fidelity),
    )
    return NewJob(
        tenant_id=tenant_id,
        created=created,
        created_at=now,
        priority=_number("priority", spec.priority, (int, -MAX_PRIORITY, MAX_PRIORITY)),
        metadata=_metadata(spec.metadata),
        idempotency_key=_idempotency_key(spec.idempotency_key),
        request_digest=digest(_asked(spec)) if spec.idempotency_key is not None else None,
    )


def digest(value: Any) -> str:
    """SHA-256 hex of canonical JSON: keys sorted, and 1.0 is 1, so that equal bodies have equal digests."""
    return hashlib.sha256(orjson.dumps(_canonical(value), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _asked(spec: JobSpec) -> dict[str, Any]:
    """The request without its key. None and absent are the same wish."""
    names = ("input", "messages", "profile", "question_form", "at_context_limit", "priority")
    asked = {name: getattr(spec, name) for name in names} | {"metadata": spec.metadata}
    for name in ("sampling", "limits"):
        asked[name] = {key: value for key, value in getattr(spec, name).items() if value is not None}
    # Left out where empty: so a request has the digest that it had before there were such wishes.
    tools = wished(spec.tools)
    return asked | {"tools": tools} if tools else asked


def _conversation(spec: JobSpec) -> tuple[list[dict[str, str]] | None, str]:
    """The messages, if that is the form, and the question."""
    if (spec.input is None) == (spec.messages is None):
        raise CallerError("give exactly one of input and messages", field="input")
    if spec.messages is None:
        return None, _text("input", spec.input)
    if not isinstance(spec.messages, list) or not 1 <= len(spec.messages) <= MAX_MESSAGES:
        raise CallerError(f"messages must be a list of 1 to {MAX_MESSAGES}", field="messages")
    messages: list[dict[str, str]] = []
    for index, message in enumerate(spec.messages):
        where = f"messages.{index}"
        if not isinstance(message, Mapping) or message.keys() != {"role", "content"}:
            raise CallerError("a message has role and content, nothing else", field=where)
        _choice(f"{where}.role", message["role"], Role)
        messages.append({"role": message["role"], "content": _text(f"{where}.content", message["content"])})
    if sum(len(message["content"]) for message in messages) > MAX_CHARACTERS:
        raise CallerError(f"the messages are longer than {MAX_CHARACTERS:,} characters", field="messages")
    if messages[-1]["role"] != "user":
        raise CallerError("the last message must be the user's: it is the question", field="messages")
    return messages, messages[-1]["content"]


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise CallerError(f"{where} must be text", field=where)
    if not value.strip():
        raise CallerError(f"{where} is empty", field=where)
    if len(value) > MAX_CHARACTERS:
        raise CallerError(f"{where} is longer than {MAX_CHARACTERS:,} characters", field=where)
    if "\x00" in value or not _is_unicode(value):
        raise CallerError(f"{where} holds a NUL or half a surrogate pair, which is no text", field=where)
    return value


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _choice(where: str, value: object, literal: Any) -> None:
    allowed = get_args(literal)
    if value not in allowed:
        raise CallerError(f"{where} must be one of {', '.join(allowed)}", field=where)


def _overrides(section: str, given: Mapping[str, Any], ranges: Mapping[str, Range]) -> dict[str, Any]:
    chosen = {}
    for name, value in given.items():
        if name not in ranges:
            raise CallerError(f"{section} has no field {name!r}; it has {', '.join(ranges)}", field=f"{section}.{name}")
        if value is not None:
            chosen[name] = _number(f"{section}.{name}", value, ranges[name])
    return chosen


def _number(where: str, value: Any, allowed: Range) -> Any:
    kind, least, most = allowed
    fits = isinstance(value, bool) == (kind is bool) and isinstance(value, (int, float) if kind is float else kind)
    # Written so that NaN fails too.
    if not fits or not least <= value <= most:
        wish = "true or false" if kind is bool else f"{'an integer' if kind is int else 'a number'} {least} to {most}"
        raise CallerError(f"{where} must be {wish}", field=where)
    return kind(value)


def _default_limits(profile: Profile, research: ResearchSection) -> Limits:
    limits = Limits(
        max_turns=research.max_turns,
        max_tool_calls=research.max_tool_calls,
        max_tool_cost_usd=research.max_tool_cost_usd,
        max_tokens=research.max_tokens,
        timeout_seconds=research.timeout_seconds,
    )
    if profile == "inference":
        return limits
    # A number of turns that the operator set outranks the profile's.
    turns = research.max_turns if "max_turns" in research.model_fields_set else TRAINING_TURNS
    return replace(limits, max_turns=turns, max_new_tokens=TRAINING_NEW_TOKENS)


def _metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        size = len(orjson.dumps(dict(given)))
    except (TypeError, ValueError):
        raise CallerError("metadata must be a JSON object of valid Unicode", field="metadata") from None
    if size > MAX_METADATA_BYTES:
        raise CallerError(f"metadata is larger than {MAX_METADATA_BYTES:,} bytes", field="metadata")
    return dict(given)


def _idempotency_key(key: str | None) -> str | None:
    if key is not None and not (0 < len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable()):
        raise CallerError(
            f"an idempotency key is 1 to {MAX_KEY_CHARACTERS} printable ASCII characters", field="Idempotency-Key"
        )
    return key
