"""What the machine knows of a job at one point of its journal: messages, light facts, no event payloads.

Owns: the frozen state and how tokens are estimated where nothing counted them. Neighbours: `machine`, `memory`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from literesearcher.research.events import JobCreated, JobUsage, StopReason, ToolStarted, TurnKind, TurnStarted
from literesearcher.research.messages import Message, ToolCall

OVERHEAD_TOKENS = 8
"""What a message costs beside its text in ChatML."""


@dataclass(frozen=True, slots=True)
class Source:
    """A page that was read: `seq` is its tool event, `evidence` at most 4,000 characters of what it gave."""

    url: str
    title: str
    evidence: str
    seq: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the job will end, as soon as the driver asks."""

    stop_reason: StopReason
    text: str | None = None
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Folded from a journal; never changed, only replaced."""

    created: JobCreated | None = None
    messages: tuple[Message, ...] = ()
    opening: int = 0
    """Messages before the first turn: system, question or conversation, and later the memory."""
    context_length: int = 0
    turn: int = 0
    """Normal model turns completed."""
    tool_calls: int = 0
    prompt_tokens: int = 0
    """Tokens of `messages`, by the server's last usage and what came since."""
    total_tokens: int = 0
    last_message_tokens: int = 0
    prefix_epoch: int = 0
    prefix: str = "turn:0:0"
    """What the current epoch's prompts are for; another one begins a new epoch."""
    memories: int = 0
    """Compressions done."""
    sentences: tuple[str, ...] = ()
    """The memory: a sentence for each earlier tool step."""
    fresh_sentences: tuple[str, ...] = ()
    """Sentences of the compression under way."""
    full: bool = False
    """The server refused the prompt as too long: act as at the context limit, whatever the estimate says."""
    refusals: int = 0
    """How often it refused the request to answer now; each time more of the history is left out."""
    call: ToolCall | None = None
    reply: tuple[str, str] | None = None
    """(name, text) for the model where no tool runs."""
    replica: str | None = None
    """The engine replica that served the last turn, where the engine has several."""
    kept_tokens: int = 0
    """Tokens of the current epoch's prompt and text that it has seen."""
    pending_intent: tuple[int, TurnStarted | ToolStarted] | None = None
    now: float = 0.0
    cancelled: bool = False
    overdue: bool = False
    outcome: Outcome | None = None
    ended: bool = False
    remark: str | None = None
    """Last words that were neither thought, call nor answer: the output of an ending without an answer."""
    usage: JobUsage = field(default_factory=JobUsage)
    sources: tuple[Source, ...] = ()
    titles: tuple[dict[str, str], ...] = ()
    pages_read: dict[str, int] = field(default_factory=dict)
    """Pages read by registrable name."""
    prices: dict[str, float] = field(default_factory=dict)
    """USD of one item by tool, as the attempt has it."""
    answers_repeats: bool = False
    """A call that was made before is answered from the journal."""
    answered: dict[str, int] = field(default_factory=dict)
    """Tool event by the canonical call that it answered without any failed item."""

    def prefix_of(self, kind: TurnKind) -> str:
        """The prefix that a prompt of this kind would stand on now; each compressed step is a prompt of its own, and so
        is each shorter request to answer."""
        step = {"turn": 0, "compress": len(self.fresh_sentences), "context_answer": self.refusals}[kind]
        return f"{kind}:{self.memories}:{step}"


def estimated_tokens(text: str) -> int:
    """Tokens of a text where nothing can count them: 3.5 ASCII characters a token, one for any other character."""
    if text.isascii():
        return int(len(text) / 3.5) + OVERHEAD_TOKENS
    ascii_characters = len(text.encode("ascii", "ignore"))
    return int(ascii_characters / 3.5) + len(text) - ascii_characters + OVERHEAD_TOKENS
