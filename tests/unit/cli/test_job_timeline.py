"""The lines of a job's timeline: what began when, what it took, and what it came to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from literesearcher.cli.job_timeline import timeline
from literesearcher.jobs.model import Envelope
from literesearcher.research import events as ev
from literesearcher.research.messages import Sampling, Usage
from literesearcher.testing.journal_events import attempt, ended, turn_started

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def journal(*told: tuple[float, ev.Event], number: int = 1) -> list[Envelope]:
    return [
        Envelope("job_1", seq, event.type, event.version, START + timedelta(seconds=at), number, 1, event, {})
        for seq, (at, event) in enumerate(told, 1)
    ]


def wrote(turn: int, usage: Usage, **more: object) -> ev.TurnCompleted:
    return ev.TurnCompleted(turn, "turn", "t", "stop", usage, 0, "m", Sampling(), **more)  # type: ignore[arg-type]


def item(kind: str, cache: str | None, *, ok: bool = True, status: str | None = None) -> ev.ToolItem:
    return ev.ToolItem(kind, "target", ok=ok, cache=cache, status=status)  # type: ignore[arg-type]


def test_turns_tools_tokens_caches_and_cost() -> None:
    call = {"query": ["a", "b"]}
    search = [item("search", "hit"), item("search", "miss")]
    pages = [item("page", "stale"), item("page", None, ok=False, status="unreachable")]
    lines = timeline(
        journal(
            (0, attempt()),
            (2.5, attempt("openai")),
            (2.5, turn_started(1)),
            (5.0, wrote(1, Usage(4000, 120, 3900), replica="engine-2", tries=2)),
            (5.0, ev.ToolStarted(1, "search", call)),
            (6.5, ev.ToolCompleted(1, "search", call, "t", search, cost_usd=0.001)),
            (6.5, turn_started(2)),
            (10.5, wrote(2, Usage(5000, 80))),
            (10.5, ev.ToolStarted(2, "visit", {})),
            (12.0, ev.ToolCompleted(2, "visit", {}, "t", pages, cost_usd=0.002)),
            (12.0, turn_started(3)),
            (212.0, ended()),
        )
    )
    assert [" ".join(line.split()) for line in lines] == [
        "Timeline",
        "begins took",
        "0.0 s attempt 1: extractive, extractive",
        "2.5 s attempt 1: openai, openai",
        "2.5 s 2.5 s turn 1: 4,000 tokens read (3,900 cached), 120 written, 2 tries, engine-2",
        "5.0 s 1.5 s search: 2 queries (1 cached, 1 fetched, 0.001 USD)",
        "6.5 s 4.0 s turn 2: 5,000 tokens read, 80 written",
        "10 s 1.5 s visit: 2 pages (1 stale, unreachable, 0.002 USD)",
        "12 s turn 3 without a result",
        "3 min 32 s ended: answer",
        "queue 0.0 s, model 6.5 s, tools 3.0 s",
        "9,000 tokens read (3,900 cached), 200 written; 0.003 USD for tools",
        "searches and pages: 1 cached, 1 fetched, 1 stale",
    ]


def test_a_crash_a_failure_and_a_call_that_none_was() -> None:
    told = ev.ToolCompleted(1, "search", {}, "Error: Invalid tool call JSON.", called=False)
    lines = timeline(
        journal(
            (1, attempt("openai")),
            (1, turn_started(1)),
            (30, ev.EffectUnknown(2, "turn.started", 1)),
            (30, attempt("openai")),
            (30, turn_started(1)),
            (31, wrote(1, Usage())),
            (31, told),
            (31, turn_started(2)),
            (40, ev.EffectFailed(2, "engine_error", "bad\x1b[2J\nnews")),
            number=2,
        )
    )
    text = "\n".join(" ".join(line.split()) for line in lines)
    assert "turn 1 without a result" in text
    assert "9.0 s failed: bad news (engine_error)" in text
    assert "Invalid tool call" not in text
    assert "\x1b" not in text
    assert timeline([]) == []
