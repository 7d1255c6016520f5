"""Drives the pure machine by hand, without orchestrator, store or clock: for tests of the agent's rules.

Owns: numbering and timing of the events. Refuses to know: engines and tools; the test says what came back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from literesearcher.research import machine
from literesearcher.research.commands import CallTool, Command, End, Generate, Respond
from literesearcher.research.events import (
    AttemptStarted,
    Event,
    JobCreated,
    JobEnded,
    ToolCompleted,
    ToolItem,
    ToolStarted,
    TurnCompleted,
    TurnStarted,
)
from literesearcher.research.messages import Limits, Sampling, Usage
from literesearcher.research.prompts import Prompts
from literesearcher.research.state import State


@dataclass(frozen=True, slots=True)
class Row:
    """A journal row as `machine.fold` reads it."""

    seq: int
    at: datetime
    event: Event | None


def created(question: str = "Who?", **changes: Any) -> JobCreated:
    """A first event with the published defaults; `changes` replaces fields."""
    prompts = Prompts.of()
    event = JobCreated(
        input=question,
        system_prompt=prompts.system,
        current_date="2026-01-02",
        profile="inference",
        question_form="bare",
        at_context_limit="answer",
        sampling=Sampling(),
        limits=Limits(),
        deadline_at=1_000_000.0,
        prompt_digests=prompts.digests,
    )
    return replace(event, **changes)


@dataclass
class MachineRun:
    """One job's events and the state they fold to."""

    state: State = field(default_factory=machine.initial)
    rows: list[Row] = field(default_factory=list)
    prompts: list[Generate] = field(default_factory=list)

    @classmethod
    def begin(cls, first: JobCreated | None = None, *, context_length: int = 131_072) -> MachineRun:
        """A run that has been created and claimed."""
        run = cls()
        run.append(first or created())
        run.append(AttemptStarted("w", "openai", "m", context_length))
        return run

    def append(self, event: Event, *, at: float | None = None) -> None:
        """Apply one event; instants rise by a second unless given."""
        seq = len(self.rows) + 1
        instant = float(seq) if at is None else at
        self.rows.append(Row(seq, datetime.fromtimestamp(instant, UTC), event))
        self.state = machine.apply(self.state, event, seq=seq, at=instant)

    def command(self) -> Command | None:
        """What the machine wants now."""
        return machine.decide(self.state)

    def start_turn(self) -> Generate:
        """Journal the intent of the model call that the machine wants."""
        command = self.command()
        assert isinstance(command, Generate), command
        self.prompts.append(command)
        self.append(
            TurnStarted(command.turn, command.kind, command.prefix_epoch, command.max_tokens, command.prompt_tokens)
        )
        return command

    def turn(self, text: str, *, finish_reason: str = "stop", usage: Usage = Usage(), **facts: Any) -> Generate:  # noqa: B008
        """One model call that gives `text`."""
        command = self.start_turn()
        self.append(
            TurnCompleted(
                turn=command.turn,
                kind=command.kind,
                text=text,
                finish_reason=finish_reason,
                usage=usage,
                prefix_epoch=command.prefix_epoch,
                model="m",
                sampling=command.sampling,
                **facts,
            )
        )
        return command

    def tool(self, text: str, *, items: list[ToolItem] | None = None, tokens: int | None = None) -> CallTool:
        """The tool call that the machine wants, answered with `text`."""
        command = self.command()
        assert isinstance(command, CallTool), command
        self.append(ToolStarted(command.turn, command.name, command.arguments))
        self.append(
            ToolCompleted(command.turn, command.name, command.arguments, text, items=items or [], tokens=tokens)
        )
        return command

    def respond(self) -> Respond:
        """The reply without a tool that the machine wants."""
        command = self.command()
        assert isinstance(command, Respond), command
        self.append(ToolCompleted(command.turn, command.name, {}, command.text, called=False))
        return command

    def end(self) -> JobEnded:
        """The ending that the machine wants."""
        command = self.command()
        assert isinstance(command, End), command
        self.append(command.event)
        return command.event


def call(name: str = "search", thought: str = "t", **arguments: Any) -> str:
    """A turn with a tool call, as the model writes it."""
    body = orjson.dumps({"name": name, "arguments": arguments or {"query": ["q"]}}).decode()
    return f"<think>\n{thought}\n</think>\n<tool_call>\n{body}\n</tool_call>"


def answer(text: str, thought: str = "t") -> str:
    """A turn with an answer, as the model writes it."""
    return f"<think>\n{thought}\n</think>\n<answer>{text}</answer>"
