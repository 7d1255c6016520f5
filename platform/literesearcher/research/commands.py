"""What the machine asks its driver to do next. Exactly one command at a time; each effect answers with one event.

| command | the driver does | and appends |
| --- | --- | --- |
| Generate | journals TurnStarted, calls the engine | TurnCompleted, or EffectFailed |
| CallTool | journals ToolStarted, calls the tools | ToolCompleted, or EffectFailed |
| Respond  | nothing outside | ToolCompleted(called=False) with the given text |
| End      | nothing outside | JobEnded |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from literesearcher.research.events import JobEnded, TurnKind
from literesearcher.research.messages import Message, Sampling


@dataclass(frozen=True, slots=True)
class Generate:
    """Call the model. Within one `prefix_epoch`, `messages` starts with what was sent and generated before."""

    turn: int
    kind: TurnKind
    messages: tuple[Message, ...]
    sampling: Sampling
    max_tokens: int
    prefix_epoch: int
    prompt_tokens: int | None
    last_replica: str | None = None
    """The engine replica that served the job's last turn: its prefix lies there."""
    kept_tokens: int = 0
    """Tokens of `messages` that it has seen."""


@dataclass(frozen=True, slots=True)
class CallTool:
    """Carry out the turn's first tool call."""

    turn: int
    name: str
    arguments: dict[str, Any]
    reserve_usd: float = 0.0
    """What the call may cost at most."""
    repeats_seq: int | None = None
    """Answer it with the text of this tool event instead; then no intent is journalled and nothing is paid."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer the model without a tool: what it wrote could not be carried out."""

    turn: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """The job is over; append this event."""

    event: JobEnded


Command = Generate | CallTool | Respond | End
