"""What is told of a start."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from literesearcher.engine.start_phases import PHASES, StartPhases
from literesearcher.telemetry.start_metrics import StartMetrics, in_registry
from literesearcher.testing.manual_clock import ManualClock


async def test_phases_are_measured_and_counted_once_they_have_ended():
    clock, registry = ManualClock(), CollectorRegistry()
    phases = StartPhases(clock, StartMetrics(in_registry(registry)).ended)
    for name in PHASES:
        with phases.phase(name):
            await clock.advance(7.0)
            assert registry.get_sample_value("literesearcher_engine_start_seconds_count", {"phase": name}) is None
    assert phases.ended == [(name, 7.0) for name in PHASES]
    for name in PHASES:
        assert registry.get_sample_value("literesearcher_engine_start_seconds_sum", {"phase": name}) == 7.0
        inside = {"phase": name, "le": "10.0"}
        assert registry.get_sample_value("literesearcher_engine_start_seconds_bucket", inside) == 1.0
    phases.begin()
    assert phases.ended == []


def test_a_phase_that_failed_is_none():
    clock = ManualClock()
    told: list[str] = []
    phases = StartPhases(clock, lambda name, seconds: told.append(name))
    with pytest.raises(RuntimeError), phases.phase("load"):
        raise RuntimeError
    assert (phases.ended, told) == ([], [])
