"""A runtime's figures as gauges and totals: what is shown, what grows, what is not known."""

from __future__ import annotations

from collections.abc import Mapping

from literesearcher.cluster.engine_figures import LOOK_SECONDS, EngineFigures
from literesearcher.telemetry.engine_metrics import GAUGES, PREFIX, TOTALS, EngineMetrics
from literesearcher.testing.manual_clock import ManualClock


class Shown:
    """What was set and added, by name."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.metrics = EngineMetrics(self._gauge, self._count)

    def _gauge(self, declared):
        def put(value: float, labels: Mapping[str, str]) -> None:
            assert dict(labels) == {}
            self.values[declared.name.removeprefix(PREFIX)] = value

        return put

    def _count(self, declared):
        def add(value: float, label: str) -> None:
            assert value > 0, "Ray refuses to add nothing, or less"
            name = declared.name.removeprefix(PREFIX)
            self.values[name] = self.values.get(name, 0) + value

        return add


def test_gauges_are_set_and_totals_grow():
    shown = Shown()
    shown.metrics.show({"kv_used_tokens": 5, "cached_tokens": 10})
    shown.metrics.show({"kv_used_tokens": 3, "cached_tokens": 10, "something_else": 1})
    assert shown.values == {"kv_used_tokens": 3, "cached_tokens": 10}
    shown.metrics.show({"cached_tokens": 25})
    assert shown.values == {"kv_used_tokens": 3, "cached_tokens": 25}


def test_a_runtime_that_was_started_again_counts_on():
    shown = Shown()
    for total in (100, 7, 9):
        shown.metrics.show({"prompt_tokens": total})
        shown.metrics.show({})
    assert shown.values == {"prompt_tokens": 109}


def test_names_are_of_one_kind():
    assert not set(GAUGES) & set(TOTALS)


async def test_the_runtime_is_asked_now_and_then():
    class Engine:
        asked = 0

        def figures(self) -> dict[str, float]:
            self.asked += 1
            return {"requests": self.asked}

    shown, clock, engine = Shown(), ManualClock(), Engine()
    figures = EngineFigures(engine, shown.metrics, clock)
    await figures.look()
    await figures.look()
    assert (engine.asked, shown.values) == (1, {"requests": 1})
    await clock.advance(LOOK_SECONDS)
    await figures.look()
    assert (engine.asked, shown.values) == (2, {"requests": 2})
