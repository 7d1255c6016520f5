"""Progress on a terminal: what stays, what moves, and that nothing hostile reaches the screen."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from literesearcher.cli.progress import PlainProgress, ScreenProgress
from literesearcher.jobs.live import Delta
from literesearcher.jobs.model import Envelope
from literesearcher.research import events as ev
from literesearcher.research.messages import Sampling, Usage

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOSTILE = "\x1b]0;owned\x07[red]thought[/red]\u202e"
TURN = ev.TurnCompleted(1, "turn", f"<think>{HOSTILE}</think>", "stop", Usage(1000, 234), 0, "m", Sampling())


def envelope(event: ev.Event) -> Envelope:
    return Envelope("job_1", 2, event.type, event.version, NOW, 1, 1, event, {})


def test_plain_lines_carry_time_and_tokens_and_no_control(capsys: pytest.CaptureFixture[str]):
    progress = PlainProgress()
    progress.event(envelope(ev.TurnStarted(1, "turn", 0, 100)))
    progress.event(envelope(TURN))
    progress.delta(Delta("job_1", 1, 1, 0, "live"))
    progress.close()
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("turn 1: [red]thought[/red]  [")
    assert "1,234 tokens]" in told.err
    assert "\x1b" not in told.err
    assert "live" not in told.err


def test_the_screen_shows_live_text_and_keeps_the_lines():
    screen = io.StringIO()
    progress = ScreenProgress(Console(file=screen, force_terminal=True, width=100, color_system=None))
    try:
        progress.event(envelope(ev.TurnStarted(1, "turn", 0, 100)))
        progress.delta(Delta("job_1", 1, 1, 0, "half a th"))
        progress.delta(Delta("job_1", 1, 1, 9, f"ought{HOSTILE}"))
        status = progress.__rich__().plain
        assert "turn 1: the model writes" in status
        assert status.rstrip().endswith("half a thought[red]thought[/red]")
        progress.delta(Delta("job_1", 1, 2, 0, "", "restarted"))
        assert "half" not in progress.__rich__().plain
        progress.delta(Delta("job_1", 1, 2, 0, "anew"))
        progress.event(envelope(TURN))
        assert "anew" not in progress.__rich__().plain
        assert "1,234 tokens" in progress.__rich__().plain
    finally:
        progress.close()
        progress.close()
    shown = screen.getvalue()
    assert "turn 1: [red]thought[/red]" in shown
    assert "owned" not in shown
    assert "\u202e" not in shown
