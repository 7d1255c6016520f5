"""The scripted job as a module, and what must hold of any journal of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from literesearcher.jobs.live import LocalLive
from literesearcher.jobs.model import Envelope
from literesearcher.research.events import (
    EffectUnknown,
    JobEnded,
    ToolCompleted,
    ToolStarted,
    TurnCompleted,
    TurnStarted,
)
from literesearcher.settings.sections import OrchestratorSection
from literesearcher.testing.bench import Bench
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.testing.memory_store import MemoryStore


@pytest.fixture(scope="session")
def script_file() -> Path:
    return Path(__file__).with_name("script.py")


@pytest.fixture(scope="session")
def script(script_file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("literesearcher_fault_script", script_file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(script: ModuleType) -> Bench:
    """A store in memory, the scripted engine and tools, and a clock moved by hand."""
    clock = ManualClock()
    return Bench(
        store=MemoryStore(clock),
        live=LocalLive(),
        clock=clock,
        engine=script.PromptEngine(),
        tools=script.Echo(),
        orchestrator=OrchestratorSection(lease_seconds=30, poll_seconds=0.02),
    )


@pytest.fixture
def check_journal(script: ModuleType) -> Callable[[Sequence[Envelope]], None]:
    def check(rows: Sequence[Envelope]) -> None:
        """Nothing lost, nothing twice, and everything that was done again is marked."""
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert [row.fence for row in rows] == sorted(row.fence for row in rows)
        assert [row.at for row in rows] == sorted(row.at for row in rows)
        opened: Envelope | None = None
        unknown = 0
        for row in rows:
            event = row.event
            if isinstance(event, TurnStarted | ToolStarted):
                assert opened is None, "an intent follows an intent without result or mark"
                opened = row
            elif isinstance(event, EffectUnknown):
                assert opened is not None
                assert (event.intent_seq, event.intent_type) == (opened.seq, opened.type)
                assert row.attempt > opened.attempt
                opened, unknown = None, unknown + 1
            elif isinstance(event, TurnCompleted) or (isinstance(event, ToolCompleted) and event.called):
                assert opened is not None, "a result without its intent"
                assert opened.attempt == row.attempt
                opened = None
        assert opened is None
        events = [row.event for row in rows]
        assert [event.text for event in events if isinstance(event, TurnCompleted)] == list(script.TURNS)
        results = [(event.turn, event.called) for event in events if isinstance(event, ToolCompleted)]
        assert results == [(1, True), (2, False), (3, True), (4, False), (5, True)]
        last = events[-1]
        assert isinstance(last, JobEnded)
        assert sum(isinstance(event, JobEnded) for event in events) == 1
        assert (last.stop_reason, last.output_text) == ("answer", script.ANSWER)
        assert (last.usage.turns, last.usage.tool_calls) == (6, 3)
        assert last.usage.unknown_effects == unknown

    return check
