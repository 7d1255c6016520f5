"""What is let in as a job: defaults by profile, overrides in range, and every refusal naming its field."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from literesearcher.errors import CallerError
from literesearcher.jobs.intake import JobSpec, digest, new_job
from literesearcher.jobs.model import NewJob
from literesearcher.research.messages import Limits, Sampling
from literesearcher.research.prompts import Prompts
from literesearcher.settings.sections import ResearchSection

NOW = datetime(2026, 3, 4, 23, 59, 30, 123456, tzinfo=UTC)
USER = {"role": "user", "content": "Who?"}


def take(spec: JobSpec, **research: Any) -> NewJob:
    return new_job(
        spec, tenant_id="acme", research=ResearchSection(**research), prompts=Prompts(), now=NOW, fidelity="improved"
    )


def test_the_defaults_are_the_models() -> None:
    new = take(JobSpec(input=" Who? \n"))
    created = new.created
    assert (created.input, created.messages) == (" Who? \n", None)
    assert (created.profile, created.question_form, created.at_context_limit) == ("inference", "bare", "answer")
    assert created.sampling == Sampling()
    assert created.limits == Limits()
    assert (created.current_date, created.deadline_at) == ("2026-03-04", NOW.timestamp() + 9000)
    assert created.prompt_digests == Prompts().digests
    assert (new.created_at, new.request_digest) == (NOW, None)


def test_the_training_profile() -> None:
    """Forty turns of at most 2,048 tokens at 0.7; the operator's own number of turns and the caller's come first."""
    created = take(JobSpec(input="q", profile="training")).created
    assert (created.limits.max_turns, created.limits.max_new_tokens) == (40, 2048)
    assert created.sampling == Sampling(temperature=0.7)
    assert take(JobSpec(input="q"), profile="training").created.limits == created.limits
    assert take(JobSpec(input="q"), profile="training", max_turns=60).created.limits.max_turns == 60
    chosen = JobSpec(input="q", profile="training", limits={"max_turns": 3}, sampling={"temperature": 1.0})
    assert take(chosen).created.limits.max_turns == 3
    assert take(chosen).created.sampling.temperature == 1.0
    assert created.tools.fidelity == "published", "nothing is better than what training read"


def test_the_operators_settings_are_defaults() -> None:
    settings = {
        "max_turns": 7,
        "max_tool_calls": 9,
        "max_tokens": 1000,
        "timeout_seconds": 60,
        "question_form": "space",
    }
    created = take(JobSpec(input="q"), **settings).created
    limits = created.limits
    assert (limits.max_turns, limits.max_tool_calls, limits.max_tokens, limits.timeout_seconds) == (7, 9, 1000, 60.0)
    assert (created.question_form, created.deadline_at) == ("space", NOW.timestamp() + 60)


def test_overrides_reach_the_job() -> None:
    sampling = {
        "temperature": 0,
        "top_p": 1,
        "top_k": -1,
        "min_p": 0.5,
        "presence_penalty": -2,
        "seed": 0,
        "logprobs": True,
    }
    limits = {"timeout_seconds": 5, "max_new_tokens": 16, "context_length": 4096, "max_tokens": None}
    created = take(JobSpec(input="q", sampling=sampling, limits=limits)).created
    assert created.sampling == replace(Sampling(), **sampling)
    assert created.limits == replace(Limits(), timeout_seconds=5.0, max_new_tokens=16, context_length=4096)
    assert isinstance(created.sampling.temperature, float)


def test_a_conversation() -> None:
    messages = [{"role": "system", "content": "Be brief."}, USER, {"role": "assistant", "content": "X."}, USER]
    created = take(JobSpec(messages=messages)).created
    assert created.messages == messages
    assert created.input == "Who?"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (JobSpec(), "input"),
        (JobSpec(input="q", messages=[USER]), "input"),
        (JobSpec(input=""), "input"),
        (JobSpec(input=" \n\t\u3000"), "input"),
        (JobSpec(input="x" * 100_001), "input"),
        (JobSpec(input="a\x00b"), "input"),
        (JobSpec(input="a\ud800b"), "input"),
        (JobSpec(input=b"bytes"), "input"),  # type: ignore[arg-type]
        (JobSpec(messages=[]), "messages"),
        (JobSpec(messages=[USER] * 1001), "messages"),
        (JobSpec(messages="text"), "messages"),  # type: ignore[arg-type]
        (JobSpec(messages=[{"role": "user", "content": "x" * 60_000}] * 2), "messages"),
        (JobSpec(messages=[USER, {"role": "assistant", "content": "x"}]), "messages"),
        (JobSpec(messages=[USER, {"role": "tool", "content": "x"}]), "messages.1.role"),
        (JobSpec(messages=[{"role": ["user"], "content": "x"}]), "messages.0.role"),  # type: ignore[dict-item]
        (JobSpec(messages=[{"role": "user", "content": None}]), "messages.0.content"),  # type: ignore[dict-item]
        (JobSpec(messages=[{"role": "user", "content": "\udfff"}]), "messages.0.content"),
        (JobSpec(messages=[{"role": "user"}]), "messages.0"),
        (JobSpec(messages=[{**USER, "name": "x"}]), "messages.0"),
        (JobSpec(messages=["x"]), "messages.0"),  # type: ignore[list-item]
        (JobSpec(input="q", profile="other"), "profile"),  # type: ignore[arg-type]
        (JobSpec(input="q", question_form="other"), "question_form"),  # type: ignore[arg-type]
        (JobSpec(input="q", at_context_limit="other"), "at_context_limit"),  # type: ignore[arg-type]
        (JobSpec(input="q", limits={"max_turns": 0}), "limits.max_turns"),
        (JobSpec(input="q", limits={"max_turns": 1001}), "limits.max_turns"),
        (JobSpec(input="q", limits={"max_turns": "5"}), "limits.max_turns"),
        (JobSpec(input="q", limits={"max_turns": 5.0}), "limits.max_turns"),
        (JobSpec(input="q", limits={"max_turns": True}), "limits.max_turns"),
        (JobSpec(input="q", limits={"timeout_seconds": 0}), "limits.timeout_seconds"),
        (JobSpec(input="q", limits={"timeout_seconds": math.nan}), "limits.timeout_seconds"),
        (JobSpec(input="q", limits={"turns": 1}), "limits.turns"),
        (JobSpec(input="q", sampling={"temperature": 2.1}), "sampling.temperature"),
        (JobSpec(input="q", sampling={"temperature": math.inf}), "sampling.temperature"),
        (JobSpec(input="q", sampling={"top_p": 0}), "sampling.top_p"),
        (JobSpec(input="q", sampling={"seed": 2**63}), "sampling.seed"),
        (JobSpec(input="q", sampling={"logprobs": 1}), "sampling.logprobs"),
        (JobSpec(input="q", sampling={"stop": []}), "sampling.stop"),
        (JobSpec(input="q", priority=101), "priority"),
        (JobSpec(input="q", priority=1.5), "priority"),  # type: ignore[arg-type]
        (JobSpec(input="q", metadata={"a": "\ud800"}), "metadata"),
        (JobSpec(input="q", metadata={1: "a"}), "metadata"),  # type: ignore[dict-item]
        (JobSpec(input="q", metadata={"a": object()}), "metadata"),
        (JobSpec(input="q", metadata={"a": 10**30}), "metadata"),
        (JobSpec(input="q", metadata={"a": "x" * 20_000}), "metadata"),
        (JobSpec(input="q", metadata="text"), "metadata"),  # type: ignore[arg-type]
        (JobSpec(input="q", idempotency_key=""), "Idempotency-Key"),
        (JobSpec(input="q", idempotency_key="a\nb"), "Idempotency-Key"),
        (JobSpec(input="q", idempotency_key="x" * 256), "Idempotency-Key"),
    ],
)
def test_a_refusal_names_the_field(spec: JobSpec, field: str) -> None:
    with pytest.raises(CallerError) as caught:
        take(spec)
    assert caught.value.field == field
    assert len(caught.value.message) < 300


def test_the_longest_question_is_let_in() -> None:
    assert len(take(JobSpec(input="漢" * 100_000)).created.input) == 100_000


def test_equal_wishes_have_equal_digests() -> None:
    def of(**changes: Any) -> str | None:
        return take(JobSpec(input="q", idempotency_key="k", **changes)).request_digest

    base = of(metadata={"a": 1, "b": [1.5, {"x": None}]}, limits={"timeout_seconds": 5})
    assert base == of(limits={"timeout_seconds": 5.0, "max_turns": None}, metadata={"b": [1.5, {"x": None}], "a": 1.0})
    different = [
        of(),
        of(metadata={"a": 2, "b": [1.5, {"x": None}]}, limits={"timeout_seconds": 5}),
        of(metadata={"a": 1, "b": [{"x": None}, 1.5]}, limits={"timeout_seconds": 5}),
        of(metadata={"a": 1, "b": [1.5, {"x": None}]}, limits={"timeout_seconds": 6}),
    ]
    assert len({base, *different}) == 5


def test_the_key_is_no_part_of_the_digest() -> None:
    specs = [JobSpec(input="q", idempotency_key=key) for key in ("a", "b")]
    assert len({take(spec).request_digest for spec in specs}) == 1
    assert digest({"a": True}) != digest({"a": 1})
