"""Live progress of one job on stderr: plain lines, and on a terminal a moving status line below them.

Owns: what is on screen while a job runs. Refuses to know: who drives the job, what the events mean (`narration`).
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

import click

from literesearcher.cli.narration import duration, tell
from literesearcher.cli.terminal_text import one_line
from literesearcher.jobs.live import Delta
from literesearcher.jobs.model import Envelope
from literesearcher.research import events as ev
from literesearcher.research.state import estimated_tokens

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


class Progress(Protocol):
    """Where progress goes."""

    def say(self, line: str) -> None:
        """A line that stays."""
        ...

    def event(self, envelope: Envelope) -> None:
        """A journal event."""
        ...

    def delta(self, delta: Delta) -> None:
        """A piece of live text."""
        ...

    def close(self) -> None:
        """Leave the screen tidy. Safe to call twice."""
        ...


class Tally:
    """What the status line counts, from the events alone."""

    def __init__(self) -> None:
        self.tokens = 0
        self._prompt = 0
        self.doing = "waiting for a worker"

    def count(self, event: ev.Event | None) -> None:
        """Take one event in."""
        match event:
            case ev.AttemptStarted():
                self.doing = "starting"
            case ev.TurnStarted():
                self.doing = f"turn {event.turn}: the model writes"
                self._prompt = event.prompt_tokens or 0
            case ev.TurnCompleted():
                told = event.usage.prompt_tokens + event.usage.completion_tokens
                # As the job's own sums have it, where the server tells nothing.
                self.tokens += told or self._prompt + estimated_tokens(event.text)
            case ev.ToolStarted():
                self.doing = f"turn {event.turn}: {one_line(event.name, 20)}"
            case ev.JobEnded():
                self.doing = "done"
            case _:
                pass


class PlainProgress:
    """One line an event, with the time since the start; for files, pipes and terminals without control."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._start = time.monotonic()

    def say(self, line: str) -> None:
        """A line on stderr."""
        click.echo(line, err=True)

    def event(self, envelope: Envelope) -> None:
        """The event's lines; after each turn the time and the tokens so far."""
        self._tally.count(envelope.event)
        lines = tell(envelope)
        if isinstance(envelope.event, ev.TurnCompleted) and lines:
            elapsed = duration(time.monotonic() - self._start)
            lines[0] += f"  [{elapsed}, {self._tally.tokens:,} tokens]"
        for line in lines:
            self.say(line)

    def delta(self, delta: Delta) -> None:
        """Nothing: a file keeps what was journalled."""

    def close(self) -> None:
        """Nothing to tidy."""


class ScreenProgress:
    """The same lines, above a status line that moves: what goes on, the text as it comes, time, tokens."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._tally = Tally()
        self._start = time.monotonic()
        self._text = ""
        self._console = console or Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._live = Live(self, console=self._console, refresh_per_second=8, transient=True)
        self._live.start()

    def __rich__(self) -> Text:
        """The status line, drawn anew at each refresh."""
        from rich.text import Text

        elapsed = duration(time.monotonic() - self._start)
        head = f"{self._tally.doing}  {elapsed}  {self._tally.tokens:,} tokens"
        room = self._console.width - len(head) - 4
        tail = one_line(self._text[-400:])
        shown = tail[-room:] if room > 10 else ""
        return Text.assemble((head, "bold"), "  ", (shown, "dim"), no_wrap=True, overflow="crop")

    def say(self, line: str) -> None:
        """A line above the status line."""
        self._console.print(line, soft_wrap=True, markup=False)

    def event(self, envelope: Envelope) -> None:
        """The event's lines; the live text of a finished turn goes."""
        self._tally.count(envelope.event)
        if isinstance(envelope.event, ev.TurnCompleted):
            self._text = ""
        for line in tell(envelope):
            self._console.print(line, style=None if line.startswith("turn") else "dim", soft_wrap=True, markup=False)

    def delta(self, delta: Delta) -> None:
        """Live text takes its place at its offset, so that a repeated piece does no harm."""
        self._text = "" if delta.kind == "restarted" else self._text[: delta.offset] + delta.text

    def close(self) -> None:
        """Take the status line off the screen."""
        self._live.stop()


def open_progress() -> PlainProgress | ScreenProgress:
    """For the stderr there is."""
    return ScreenProgress() if sys.stderr.isatty() else PlainProgress()
