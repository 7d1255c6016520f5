"""One job's time as lines: each turn and tool call with when it began, how long it took, tokens, cache and cost.

Owns: the lines of `jobs show` below the answer, made of the journal alone. Refuses to know: stores, colours.
Neighbour: `narration`, which says what happened; this says what it took.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from literesearcher.cli.narration import duration, plural
from literesearcher.cli.terminal_text import one_line
from literesearcher.jobs.model import Envelope
from literesearcher.research import events as ev
from literesearcher.research.messages import Usage

_KINDS = {"turn": "turn", "context_answer": "last turn", "compress": "memory"}
_OUTCOMES = {"hit": "cached", "stale": "stale", "coalesced": "shared", "miss": "fetched"}
_NAMED_FAILURES = 3


def timeline(events: Sequence[Envelope]) -> list[str]:
    """Lines of `Timeline`, [] where nothing was begun. Of what runs or was cut off, the time is left open."""
    telling = _Telling(events[0].at) if events else None
    if telling is None:
        return []
    for envelope in events:
        telling.hear(envelope)
    if not telling.lines:
        return []
    return ["Timeline", f"{'begins':>11}  {'took':>11}", *telling.lines, *telling.sums()]


@dataclass
class _Telling:
    """One pass over a journal."""

    created: datetime
    lines: list[str] = field(default_factory=list)
    opened: Envelope | None = None
    model_seconds: float = 0.0
    tool_seconds: float = 0.0
    queue_seconds: float | None = None
    tokens: Counter[str] = field(default_factory=Counter)
    caches: Counter[str] = field(default_factory=Counter)
    cost_usd: float = 0.0

    def hear(self, envelope: Envelope) -> None:
        event = envelope.event
        if isinstance(event, ev.AttemptStarted):
            self._cut()
            if self.queue_seconds is None:
                self.queue_seconds = (envelope.at - self.created).total_seconds()
            self._line(envelope.at, None, f"attempt {envelope.attempt}: {event.engine}, {one_line(event.model, 60)}")
        elif isinstance(event, ev.TurnStarted | ev.ToolStarted):
            self._cut()
            self.opened = envelope
        elif isinstance(event, ev.TurnCompleted):
            self.model_seconds += self._took(envelope)
            self._line(self._begun(envelope), self._took(envelope), _turn(event))
            self._count(event.usage)
            self.opened = None
        elif isinstance(event, ev.ToolCompleted):
            if event.called:
                self.tool_seconds += self._took(envelope)
                self._line(self._begun(envelope), self._took(envelope), f"  {_tool(event)}")
            self.cost_usd += event.cost_usd
            self.caches.update(item.cache for item in event.items if item.cache)
            self.opened = None
        elif isinstance(event, ev.EffectFailed):
            self._line(
                self._begun(envelope), self._took(envelope), f"failed: {one_line(event.message, 120)} ({event.code})"
            )
            self.opened = None
        elif isinstance(event, ev.JobEnded):
            self._cut()
            self._line(envelope.at, None, f"ended: {event.stop_reason}")

    def sums(self) -> list[str]:
        """What it came to."""
        parts = [f"model {duration(self.model_seconds)}", f"tools {duration(self.tool_seconds)}"]
        if self.queue_seconds is not None:
            parts.insert(0, f"queue {duration(self.queue_seconds)}")
        cached = f" ({self.tokens['cached']:,} cached)" if self.tokens["cached"] else ""
        lines = [
            f"{'':>11}  {', '.join(parts)}",
            f"{'':>11}  {self.tokens['read']:,} tokens read{cached}, {self.tokens['written']:,} written; "
            f"{self.cost_usd:g} USD for tools",
        ]
        if self.caches:
            told = ", ".join(f"{number} {_OUTCOMES.get(name, name)}" for name, number in self.caches.most_common())
            lines.append(f"{'':>11}  searches and pages: {told}")
        return lines

    def _cut(self) -> None:
        """What began and has no end in the journal: a crash, a stop, or it still runs."""
        if self.opened is not None:
            event = self.opened.event
            what = _KINDS[event.kind] if isinstance(event, ev.TurnStarted) else getattr(event, "name", "")
            self._line(self.opened.at, None, f"{one_line(what, 20)} {getattr(event, 'turn', '')} without a result")
            self.opened = None

    def _begun(self, envelope: Envelope) -> datetime:
        return envelope.at if self.opened is None else self.opened.at

    def _took(self, envelope: Envelope) -> float:
        return (envelope.at - self._begun(envelope)).total_seconds()

    def _count(self, usage: Usage) -> None:
        self.tokens.update(read=usage.prompt_tokens, written=usage.completion_tokens, cached=usage.cached_tokens or 0)

    def _line(self, at: datetime, took: float | None, words: str) -> None:
        begins = duration((at - self.created).total_seconds())
        self.lines.append(f"{begins:>11}  {'' if took is None else duration(took):>11}  {words}")


def _turn(event: ev.TurnCompleted) -> str:
    cached = f" ({event.usage.cached_tokens:,} cached)" if event.usage.cached_tokens else ""
    tries = f", {event.tries} tries" if event.tries > 1 else ""
    where = f", {one_line(event.replica, 40)}" if event.replica else ""
    return (
        f"{_KINDS[event.kind]} {event.turn}: {event.usage.prompt_tokens:,} tokens read{cached}, "
        f"{event.usage.completion_tokens:,} written{tries}{where}"
    )


def _tool(event: ev.ToolCompleted) -> str:
    parts = []
    if event.repeats_seq is not None:
        parts.append(f"asked before, in event {event.repeats_seq}")
    caches = Counter(_OUTCOMES.get(item.cache, item.cache) for item in event.items if item.cache)
    parts += [f"{number} {name}" for name, number in caches.most_common()]
    failures = [item.status or "failed" for item in event.items if not item.ok]
    parts += [one_line(status, 30) for status in failures[:_NAMED_FAILURES]]
    if len(failures) > _NAMED_FAILURES:
        parts.append(f"{len(failures) - _NAMED_FAILURES} more failed")
    if event.cost_usd:
        parts.append(f"{event.cost_usd:g} USD")
    noun = "query" if event.name == "search" else "page"
    number = len(event.items)
    counted = plural(number, noun) if number == 1 or noun == "page" else f"{number:,} queries"
    return f"{one_line(event.name, 20)}: {counted}" + (f" ({', '.join(parts)})" if parts else "")
