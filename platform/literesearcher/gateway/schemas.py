"""The request body of POST /v1/research: names, types and ranges, closed to unknown fields.

Owns: the shape of the wish, as OpenAPI shows it. What a job is made of it, and what text it may hold, is
`jobs.intake`'s; the ranges are the same there (a test holds them together). Nothing is converted: a number in quotes
is no number.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from literesearcher.jobs.tool_wishes import (
    DAY,
    LANGUAGE,
    MAX_DOMAIN_CHARACTERS,
    MAX_DOMAINS,
    MAX_LANGUAGES,
    MAX_PAGES_PER_DOMAIN,
)


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("text may not hold NUL characters")
    return text


Text = Annotated[str, AfterValidator(_no_nul)]
Domain = Annotated[Text, StringConstraints(min_length=1, max_length=MAX_DOMAIN_CHARACTERS)]
# Shown as patterns, refused by the intake: it says in words what is wanted.
Day = Annotated[Text, Field(json_schema_extra={"pattern": DAY})]
Language = Annotated[Text, Field(json_schema_extra={"pattern": LANGUAGE})]
MetadataKey = Annotated[Text, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[Text, StringConstraints(max_length=512)]


class Wish(BaseModel):
    """Closed to unknown fields, no conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ChatMessage(Wish):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Text


class LimitsWish(Wish):
    """Where the job ends whatever it holds; what is left out is the server's default."""

    max_turns: int | None = Field(None, ge=1, le=1000, description="Model turns.")
    max_tool_calls: int | None = Field(None, ge=1, le=10_000)
    max_tool_cost_usd: float | None = Field(
        None, ge=0, le=1_000_000, description="USD of the job's tool calls, by the operator's price list."
    )
    max_tokens: int | None = Field(None, ge=1, le=1_000_000_000, description="Prompt and generated tokens of the job.")
    timeout_seconds: float | None = Field(None, ge=0.001, le=604_800, description="From creation; downtime counts.")
    max_new_tokens: int | None = Field(None, ge=1, le=131_072, description="New tokens of one turn.")
    context_length: int | None = Field(None, ge=2048, le=1_048_576, description="Tokens of context to use at most.")


class SamplingWish(Wish):
    """How the model is sampled; what is left out is as the model was published."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=1e-6, le=1)
    top_k: int | None = Field(None, ge=-1, le=1_000_000, description="-1 or 0: no limit.")
    min_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, ge=1e-6, le=10)
    seed: int | None = Field(None, ge=0, le=2**63 - 1)
    logprobs: bool | None = Field(None, description="Keep the log probabilities of the generated tokens.")


class SourcesWish(Wish):
    """Which sources the job may use; what is left out, or empty, allows everything. Denied outranks allowed."""

    allow_domains: list[Domain] = Field(
        default_factory=list,
        max_length=MAX_DOMAINS,
        description="`example.com` is itself and what is under it, `.gov` every host that ends so.",
    )
    deny_domains: list[Domain] = Field(default_factory=list, max_length=MAX_DOMAINS)
    published_after: Day | None = Field(None, description="YYYY-MM-DD, that day included.")
    published_before: Day | None = Field(None, description="YYYY-MM-DD, that day included.")
    languages: list[Language] = Field(default_factory=list, max_length=MAX_LANGUAGES, description="ISO 639-1 codes.")
    max_pages_per_domain: int | None = Field(
        None, ge=1, le=MAX_PAGES_PER_DOMAIN, description="Pages read of one registrable name in the whole job."
    )


class ToolsWish(Wish):
    """What the job asks of its tools."""

    cache: Literal["default", "bypass", "only", "record"] | None = Field(
        None,
        description="`bypass`: neither read nor written; `only`: offline, a miss is an error that the model sees; "
        "`record`: fetched anew and kept long, for `only` later.",
    )
    sources: SourcesWish = SourcesWish()


class ResearchWish(Wish):
    """A research job: a question as `input`, or a conversation as `messages`."""

    input: Text | None = Field(None, description="The question: 1 to 100,000 characters.")
    messages: list[ChatMessage] | None = Field(
        None, min_length=1, max_length=1000, description="A conversation to go on from, instead of `input`."
    )
    profile: Literal["inference", "training"] | None = None
    question_form: Literal["bare", "space", "label"] | None = None
    at_context_limit: Literal["answer", "compress"] | None = None
    limits: LimitsWish = LimitsWish()
    sampling: SamplingWish = SamplingWish()
    tools: ToolsWish = ToolsWish()
    priority: int = Field(0, ge=-100, le=100, description="Higher is earlier.")
    metadata: dict[MetadataKey, MetadataValue] = Field(
        default_factory=dict, max_length=16, description="Your own notes: at most 16 strings."
    )

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.input is None) == (self.messages is None):
            raise ValueError("give exactly one of input and messages")
        return self
