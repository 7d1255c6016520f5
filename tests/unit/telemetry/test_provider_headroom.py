"""What share of requests' time is no wait for a limit that another process would share."""

from __future__ import annotations

import pytest

from literesearcher.telemetry.provider_headroom import ProviderHeadroom
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock


async def test_waits_for_shared_limits_are_what_is_missing_of_it() -> None:
    metrics, clock = ToolMetrics(), ManualClock()
    metrics.provider_wait_seconds.labels("serper", "rate").observe(500.0)
    headroom = ProviderHeadroom(metrics, clock)
    assert headroom() == 1.0, "what was before it was made does not count"
    metrics.provider_seconds.labels("serper").observe(2.0)
    # Another process would have slots of its own.
    metrics.provider_wait_seconds.labels("serper", "concurrency").observe(100.0)
    metrics.provider_wait_seconds.labels("jina", "site_concurrency").observe(100.0)
    await clock.advance(1.0)
    assert headroom() == 1.0
    for reason, seconds in (("rate", 3.0), ("retry_after", 2.0), ("site_rate", 1.0)):
        metrics.provider_wait_seconds.labels("jina", reason).observe(seconds)
    await clock.advance(1.0)
    assert headroom() == pytest.approx(0.25)


async def test_it_forgets() -> None:
    metrics, clock = ToolMetrics(), ManualClock()
    headroom = ProviderHeadroom(metrics, clock)
    metrics.provider_wait_seconds.labels("serper", "rate").observe(9.0)
    metrics.provider_seconds.labels("serper").observe(1.0)
    await clock.advance(1.0)
    assert headroom() == pytest.approx(0.1)
    for _ in range(40):
        await clock.advance(1.0)
        metrics.provider_seconds.labels("serper").observe(1.0)
        last = headroom()
    assert last == 1.0
