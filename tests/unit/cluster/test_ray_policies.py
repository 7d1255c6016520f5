"""The scaling policy as Ray calls it: whatever the context holds, it gives a number and raises nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from literesearcher.cluster.scaling.ray_policies import EnginePolicy, engine_stats
from literesearcher.engine.load import EngineLoad
from literesearcher.testing.manual_clock import ManualClock

FULL = engine_stats(EngineLoad(10_000, kv_used=9_500, prefill_per_second=1_000.0))


def context(*replicas: dict[str, Any] | None, target: int, age: float = 1.0) -> SimpleNamespace:
    """As Ray gives it: each metric's points by replica, none of a replica that did not report."""
    names = {name for said in replicas if said for name in said}
    raw = {
        name: {
            f"r{number}": [SimpleNamespace(timestamp=1_000.0 - age, value=said[name])]
            for number, said in enumerate(replicas)
            if said and name in said
        }
        for name in names
    }
    return SimpleNamespace(
        target_num_replicas=target,
        capacity_adjusted_min_replicas=1,
        capacity_adjusted_max_replicas=4,
        running_replicas=[f"r{number}" for number in range(len(replicas))],
        raw_metrics=raw,
        current_time=1_000.0,
    )


async def test_full_pools_bring_another_replica_once_patience_is_over() -> None:
    clock = ManualClock()
    policy = EnginePolicy(up_seconds=3.0, clock=clock)
    assert policy(context(FULL, target=1))[0] == 1
    await clock.advance(3.0)
    wanted, terms = policy(context(FULL, target=1))
    assert (wanted, terms["reason"]) == (2, "up")
    assert terms["kv"] == pytest.approx(0.95)


@pytest.mark.parametrize(
    "replicas",
    [
        [FULL, None],
        [FULL, {"kv_capacity": 10_000.0}],
        [FULL, FULL | {"kv_used": float("nan")}],
        [FULL, FULL | {"kv_used": "much"}],
        [FULL, FULL | {"running": -1.0}],
        [None, None],
    ],
)
async def test_what_cannot_be_read_is_missing_and_the_number_stays(replicas: list[Any]) -> None:
    clock = ManualClock()
    policy = EnginePolicy(up_seconds=0.0, clock=clock)
    for _ in range(3):
        wanted, terms = policy(context(*replicas, target=2))
        assert (wanted, terms["reason"]) == (2, "missing")
        await clock.advance(60.0)


def test_old_records_and_no_records_are_missing() -> None:
    policy = EnginePolicy(up_seconds=0.0, clock=ManualClock())
    assert policy(context(FULL, target=1, age=30.0)) == (1, {"reason": "missing"})
    nothing = context(FULL, target=1)
    nothing.raw_metrics = None
    assert policy(nothing) == (1, {"reason": "missing"})
