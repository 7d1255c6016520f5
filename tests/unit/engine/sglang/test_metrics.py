"""SGLang's families read into the few figures that leave a replica."""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Counter, Gauge

from literesearcher.engine.sglang.metrics import figures
from literesearcher.telemetry.engine_metrics import GAUGES, TOTALS


def test_gauges_of_all_priorities_and_totals_over_labels():
    registry = CollectorRegistry()
    running = Gauge("sglang:num_running_reqs", "", ["priority", "tp_rank"], registry=registry)
    running.labels("", "0").set(5)
    running.labels("2", "0").set(3)
    cached = Counter("sglang:cached_tokens_total", "", ["priority", "cache_source"], registry=registry)
    cached.labels("2", "device").inc(30)
    cached.labels("0", "device").inc(4)
    Gauge("sglang:cache_hit_rate", "", ["priority"], registry=registry).labels("").set(math.nan)
    Gauge("sglang:page_size", "", registry=registry).set(1)
    found = figures(registry.collect())
    assert found == {"running_requests": 5, "cached_tokens": 34}
    assert set(found) <= set(GAUGES) | set(TOTALS)


def test_nothing_of_a_runtime_that_does_not_run():
    assert figures([]) == {}
