"""The answers' shapes, as OpenAPI shows them. The objects themselves are made by `gateway.public`; tests hold the two
together. Closed, so that a field that is not described here cannot slip into an answer unseen.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from literesearcher.jobs.model import JobStatus
from literesearcher.research.events import StopReason
from literesearcher.research.tool_options import CacheMode, Fidelity


class Document(BaseModel):
    """Closed to unknown fields."""

    model_config = ConfigDict(extra="forbid")


class CitationObject(Document):
    """A page that the answer rests on."""

    url: str
    title: str
    quote: str
    seq: int = Field(description="Number of the journal event that read the page.")


class OutputObject(Document):
    """The answer, or the best there was when the job ended."""

    text: str
    citations: list[CitationObject]


class UsageObject(Document):
    """What the job cost."""

    turns: int
    tool_calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    extraction_tokens: int
    unknown_effects: int = Field(description="Calls that were paid for and lost in a crash.")
    tool_cost_usd: float = Field(description="By the operator's price list; of a call without result, its reserve.")
    estimated_turns: int = Field(description="Model calls whose server told no usage: their tokens are estimates.")


class ErrorObject(Document):
    """Why a job failed."""

    code: str
    message: str


class EngineObject(Document):
    """What generated the job's texts."""

    kind: str
    model: str
    language_model: bool = Field(description="False: no language model wrote any of it.")


class SourcesObject(Document):
    """Which sources the job may use; empty lists and null allow everything."""

    allow_domains: list[str]
    deny_domains: list[str]
    published_after: str | None
    published_before: str | None
    languages: list[str]
    max_pages_per_domain: int | None


class ToolsObject(Document):
    """What the job asks of its tools, fixed at its creation."""

    cache: CacheMode
    sources: SourcesObject
    fidelity: Fidelity = Field(description="By the server's settings when the job was created.")


class QueueObject(Document):
    """Where a waiting job stands. Estimates: higher priorities may still come."""

    position: int = Field(description="1: the next to start.")
    start_seconds: float | None = Field(description="Until it may start, by jobs of late; null: nothing tells.")


class LinksObject(Document):
    """Where to go on."""

    self: str
    events: str
    cancel: str


class JobObject(Document):
    """A research job."""

    id: str
    object: Literal["research.job"]
    status: JobStatus
    stop_reason: StopReason | None
    input: str
    output: OutputObject | None
    usage: UsageObject
    error: ErrorObject | None
    created_at: str = Field(description="ISO 8601, UTC.")
    started_at: str | None
    ended_at: str | None
    deadline_at: str
    priority: int
    attempt: int = Field(description="How many times a worker took the job.")
    last_seq: int = Field(description="Number of the newest journal event.")
    engine: EngineObject | None = Field(description="null before a worker took the job, and in lists.")
    tools: ToolsObject | None = Field(description="null in lists.")
    queue: QueueObject | None = Field(description="null unless the job waits, and in lists.")
    metadata: dict[str, Any]
    links: LinksObject


class JobList(Document):
    """Jobs, newest first."""

    object: Literal["list"]
    data: list[JobObject]
    next_cursor: str | None = Field(description="`cursor` of the next page; null at the end.")


class EventObject(Document):
    """A journal event. In server-sent events `id:` is its number."""

    id: int
    object: Literal["research.event"]
    job: str
    seq: int
    type: str
    version: int
    at: str
    attempt: int
    data: dict[str, Any]


class EventPage(Document):
    """Events in order."""

    object: Literal["list"]
    data: list[EventObject]
    next_after: int = Field(description="`after` of the next page.")
    ended: bool = Field(description="True: nothing will ever come after this page.")


class ModelObject(Document):
    """A model, or what stands in its place."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    engine: str
    context_length: int
    language_model: bool
    description: str


class ModelList(Document):
    """What the server's engine is."""

    object: Literal["list"]
    data: list[ModelObject]


class SpendingLimits(Document):
    """What the tenant may spend in a day; null: no limit."""

    tool_calls: int | None
    tool_cost_usd: float | None


class UsageOfDay(Document):
    """What the tenant spent on tools today."""

    object: Literal["usage"]
    tenant: str
    day: str = Field(description="YYYY-MM-DD, UTC.")
    tool_calls: int
    tool_cost_usd: float = Field(description="By the operator's price list; open calls count with their reserve.")
    limits: SpendingLimits
    resets_at: str = Field(description="When the next day begins.")


class ServiceStatus(Document):
    """A health answer."""

    status: Literal["live", "ready"]


class FieldError(Document):
    """A field of the request that is wrong."""

    field: str
    message: str


class ProblemDocument(Document):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="Stable; match on this.")
    field: str | None = Field(None, description="The first field that is wrong.")
    errors: list[FieldError] | None = None


class OpenAIErrorObject(Document):
    """What went wrong, in the fields that OpenAI's clients read."""

    message: str
    type: str
    param: str | None = Field(None, description="The field of the request that is wrong.")
    code: str = Field(description="Stable; match on this.")


class OpenAIErrorDocument(Document):
    """A refusal of the routes that OpenAI's clients call."""

    error: OpenAIErrorObject
