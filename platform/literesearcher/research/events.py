"""The typed events of a research job's journal: what happened, as payloads without envelope.

Owns: the payload of each event type, its version, and its JSON form. The envelope (seq, at, attempt, fence) is the
journal's (`jobs.envelope`). A payload changes by adding fields with defaults; anything else is a new version.
Refuses to know: clocks, stores, networks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from literesearcher.research.messages import AtContextLimit, Limits, Profile, QuestionForm, Sampling, Usage
from literesearcher.research.tool_items import ToolItem as ToolItem
from literesearcher.research.tool_items import ToolTry as ToolTry
from literesearcher.research.tool_options import DEFAULT_OPTIONS, ToolOptions

StopReason = Literal[
    "answer",
    "answer_at_context_limit",
    "context_limit_no_format",
    "exceed_max_turns",
    "exceed_max_tool_calls",
    "exceed_max_tool_cost",
    "budget_spent",
    "exceed_max_tokens",
    "timeout",
    "no_evidence",
    "server_error",
    "length_limit_exceeded",
    "internal_error",
    "cancelled",
]
EndStatus = Literal["completed", "incomplete", "failed", "cancelled"]

STATUS_BY_STOP_REASON: dict[StopReason, EndStatus] = {
    "answer": "completed",
    "answer_at_context_limit": "completed",
    "context_limit_no_format": "incomplete",
    "exceed_max_turns": "incomplete",
    "exceed_max_tool_calls": "incomplete",
    "exceed_max_tool_cost": "incomplete",
    "budget_spent": "incomplete",
    "exceed_max_tokens": "incomplete",
    "timeout": "incomplete",
    "no_evidence": "incomplete",
    "server_error": "failed",
    "length_limit_exceeded": "failed",
    "internal_error": "failed",
    "cancelled": "cancelled",
}

TurnKind = Literal["turn", "context_answer", "compress"]
"""What a model call is for: a normal turn, the answer asked for at the context limit, or a memory compression."""


@dataclass(frozen=True, slots=True)
class JobCreated:
    """First event of every journal: everything that must not change when another process goes on with the job."""

    type: ClassVar[str] = "job.created"
    version: ClassVar[int] = 1
    input: str
    """The question as given."""
    system_prompt: str
    """Instructions with the tools, without the date line's date: the machine adds `current_date`."""
    current_date: str
    """YYYY-MM-DD, fixed at creation, so that the prefix never changes."""
    profile: Profile
    question_form: QuestionForm
    at_context_limit: AtContextLimit
    sampling: Sampling
    limits: Limits
    deadline_at: float
    """Unix seconds; a stored instant, so that downtime counts."""
    prompt_digests: dict[str, str] = field(default_factory=dict)
    """SHA-256 hex by prompt name: `system`, `extractor`."""
    messages: list[dict[str, str]] | None = None
    """A conversation to go on from (`role`, `content`), where the job was given one instead of a bare question."""
    tools: ToolOptions = DEFAULT_OPTIONS


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A worker has claimed the job and will drive it with this engine."""

    type: ClassVar[str] = "attempt.started"
    version: ClassVar[int] = 1
    worker: str
    engine: str
    """Engine kind, such as `openai` or `extractive`."""
    model: str
    context_length: int
    """Tokens, as the engine says now."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Resolved settings of this attempt that bear on its results (providers, cache), without secrets."""
    prices: dict[str, float] = field(default_factory=dict)
    """USD that one item (a query, a page) of each tool may cost at most, by the operator's price list."""
    repeats: Literal["fetch", "journal"] = "fetch"
    """`journal`: a call that this job made before is answered with the same text."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """Intent: a model call is about to be made and may be paid for."""

    type: ClassVar[str] = "turn.started"
    version: ClassVar[int] = 1
    turn: int
    """1-based number of the model turn; a compression carries the turn it precedes."""
    kind: TurnKind
    prefix_epoch: int
    """Rises by one where the prompt no longer starts with what was sent and generated before."""
    max_tokens: int
    prompt_tokens: int | None = None
    """Estimated tokens of the prompt, None when nothing could count them."""


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """What the model generated, as generated."""

    type: ClassVar[str] = "turn.completed"
    version: ClassVar[int] = 1
    turn: int
    kind: TurnKind
    text: str
    finish_reason: str
    """`stop`, `length`, `no_evidence` (extractive engine only), or what the server said."""
    usage: Usage
    prefix_epoch: int
    model: str
    sampling: Sampling
    elapsed_seconds: float = 0.0
    tries: int = 1
    opened_thought: bool = False
    """True where the server's template opened the turn with `<think>\\n`, so that `text` begins inside a thought."""
    matched_stop: str | None = None
    token_ids: str | None = None
    """Generated token ids, little-endian uint32, base64; None where the server gives none."""
    logprobs: list[float] | None = None
    engine_fingerprint: str | None = None
    weights_fingerprint: str | None = None
    replica: str | None = None
    """The engine replica that served the turn, where the engine has several."""
    routing: str | None = None
    """Why it was sent there: home, stay, spill, rehome, fallback, choices, overflow."""
    lost: int = 0  # Of the tries: lost with their replica, and made again elsewhere.


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """Intent: a tool call is about to be made and may be paid for."""

    type: ClassVar[str] = "tool.started"
    version: ClassVar[int] = 1
    turn: int
    name: str
    arguments: dict[str, Any]
    reserved_usd: float = 0.0
    """What the call may cost at most; counts as spent until its result says what it did cost."""


@dataclass(frozen=True, slots=True)
class ToolCompleted:
    """What a tool call gave. `text` is what the model reads, as received, without the `<tool_response>` tags."""

    type: ClassVar[str] = "tool.completed"
    version: ClassVar[int] = 1
    turn: int
    name: str
    arguments: dict[str, Any]
    text: str
    items: list[ToolItem] = field(default_factory=list)
    tokens: int | None = None
    """Tokens that the message adds, None when nothing could count them."""
    elapsed_seconds: float = 0.0
    called: bool = True
    """False where no tool ran: broken JSON, unknown tool, or a turn with neither call nor answer."""
    cost_usd: float = 0.0
    """Sum of the items, and the reserve again for each try whose answer was lost on the way from the tool proxy; takes
    the place of what the intent reserved."""
    reserved_usd: float = 0.0
    """What the intent had reserved."""
    reserved_on: str = ""
    """Day (UTC, YYYY-MM-DD) whose budget the intent counted against; "" where there was none."""
    repeats_seq: int | None = None
    """The tool event of the same job whose text this is, where a repeated call was answered from the journal."""


@dataclass(frozen=True, slots=True)
class EffectUnknown:
    """After a crash: an intent whose result was never journalled. Its cost counts; the effect is done again."""

    type: ClassVar[str] = "effect.unknown"
    version: ClassVar[int] = 1
    intent_seq: int
    intent_type: str
    turn: int


@dataclass(frozen=True, slots=True)
class EffectFailed:
    """The effect failed for good, after its retries. The machine ends the job by `code`."""

    type: ClassVar[str] = "effect.failed"
    version: ClassVar[int] = 1
    turn: int
    code: str
    """`prompt_too_long`, `internal_error`, or a BoundaryError's code."""
    message: str
    tries: int = 1


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The holder drained a cancel from the inbox."""

    type: ClassVar[str] = "cancel.requested"
    version: ClassVar[int] = 1
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The holder saw the job's stored deadline pass (before or during an effect, which was given up)."""

    type: ClassVar[str] = "deadline.reached"
    version: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class BudgetReached:
    """The next tool call would have passed its tenant's budget of the day, so it was not made."""

    type: ClassVar[str] = "budget.reached"
    version: ClassVar[int] = 1
    turn: int
    message: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A page that the answer rests on: `seq` is the journal number of the tool event that read it."""

    url: str
    title: str
    quote: str
    seq: int


@dataclass(frozen=True, slots=True)
class JobUsage:
    """Sums over the job. Tokens of turns whose result was lost in a crash count under `unknown_effects` only."""

    turns: int = 0
    tool_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    extraction_tokens: int = 0
    unknown_effects: int = 0
    tool_cost_usd: float = 0.0
    """By the operator's price list; of a tool call without result, what it had reserved."""
    estimated_turns: int = 0
    """Model calls whose server told no usage: their tokens, in the sums above, are estimates."""


@dataclass(frozen=True, slots=True)
class JobEnded:
    """Last event of every journal."""

    type: ClassVar[str] = "job.ended"
    version: ClassVar[int] = 1
    stop_reason: StopReason
    status: EndStatus
    output_text: str | None
    citations: list[Citation]
    usage: JobUsage
    error_code: str | None = None
    error_message: str | None = None


Event = (
    JobCreated
    | AttemptStarted
    | TurnStarted
    | TurnCompleted
    | ToolStarted
    | ToolCompleted
    | EffectUnknown
    | EffectFailed
    | CancelRequested
    | DeadlineReached
    | BudgetReached
    | JobEnded
)

EVENT_TYPES: tuple[type[Any], ...] = Event.__args__
