"""The metrics of a process that holds a runtime: the runtime's own families are on the same page while it is open."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily

from literesearcher.cli import wiring
from literesearcher.engine.extractive import ExtractiveEngine
from literesearcher.settings.model import Settings
from literesearcher.telemetry.tool_metrics import ToolMetrics


class Families:
    def collect(self):
        yield GaugeMetricFamily("runtime:token_usage", "", value=0.25)


async def test_the_runtimes_own_families_are_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    engine = ExtractiveEngine()
    engine.collector = Families()
    monkeypatch.setattr(wiring, "main_engine", lambda settings, clock, on_phase: engine)
    metrics = ToolMetrics(CollectorRegistry())
    for _ in range(2):
        async with wiring.open_platform(Settings(data_dir=tmp_path), metrics=metrics):
            assert b"\nruntime:token_usage 0.25\n" in generate_latest(metrics.registry)
        assert b"runtime:" not in generate_latest(metrics.registry)
