"""The scaling policies as Ray calls them: whatever the context holds, they give a number and raise nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge

from literesearcher.cluster.scaling.queue_policies import ToolsLoad
from literesearcher.cluster.scaling.ray_policies import EnginePolicy, OrchestratorPolicy, ToolsPolicy
from literesearcher.cluster.scaling.records import allowed_record, engine_record, tools_record, work_record
from literesearcher.cluster.scaling.signs import Signs, parsed
from literesearcher.engine.load import EngineLoad
from literesearcher.telemetry.scaling_metrics import DeclaredGauge, Set
from literesearcher.testing.manual_clock import ManualClock

FULL = engine_record(EngineLoad(10_000, kv_used=9_500, prefill_per_second=1_000.0), ttft_seconds=None)
EMPTY = engine_record(EngineLoad(10_000), ttft_seconds=None)
QUIET = work_record(0, 0)


class Shown:
    """What a policy shows: gauges and the note."""

    def __init__(self, clock: ManualClock) -> None:
        self.registry = CollectorRegistry()
        self.notes: dict[str, bytes] = {}
        self.signs = Signs("engine", clock, make=self._make, write=self.notes.__setitem__)

    def _make(self, declared: DeclaredGauge) -> Set:
        gauge = Gauge(declared.name, declared.help, declared.labels, registry=self.registry)
        return lambda value, labels: gauge.labels(**labels).set(value)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"literesearcher_scaling_{name}", {"application": "engine", **labels})


def context(*replicas: Mapping[str, Any] | None, target: int, age: float = 1.0, running: int = 99) -> SimpleNamespace:
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
        running_replicas=[f"r{number}" for number in range(len(replicas))][:running],
        raw_metrics=raw,
        current_time=1_000.0,
    )


async def test_full_pools_bring_another_replica_once_patience_is_over() -> None:
    clock = ManualClock()
    shown = Shown(clock)
    policy = EnginePolicy(up_seconds=3.0, clock=clock, signs=shown.signs)
    assert policy(context(FULL | QUIET, target=1))[0] == 1
    await clock.advance(3.0)
    wanted, terms = policy(context(FULL | QUIET, target=1))
    assert (wanted, terms["reason"]) == (2, "up")
    assert terms["kv"] == pytest.approx(0.95)
    assert (shown.value("wanted_replicas"), shown.value("reason", reason="up")) == (2, 1)
    assert shown.value("term", term="kv") == pytest.approx(0.95)
    assert shown.value("reason", reason="patience") == 0


async def test_what_the_orchestrators_told_counts_and_not_knowing_it_holds() -> None:
    clock = ManualClock()
    policy = EnginePolicy(up_seconds=0.0, clock=clock, signs=Shown(clock).signs)
    assert policy(context(EMPTY, target=1)) == (1, {"reason": "missing"})
    # One replica was told, the other has only just come.
    told = context(EMPTY | work_record(2, 0), EMPTY, target=2)
    wanted, terms = policy(told)
    assert wanted == 3
    assert terms["backlog"] == pytest.approx(2.4)


async def test_a_job_that_was_taken_between_two_replicas_looks_counts_once() -> None:
    clock = ManualClock()
    policy = OrchestratorPolicy(jobs=2, up_seconds=0.0, clock=clock, signs=Shown(clock).signs)
    seen = context(work_record(6, 2), work_record(2, 6), target=3)
    for points in seen.raw_metrics.values():
        points["r0"][-1].timestamp -= 1.0
    _, terms = policy(seen)
    assert (terms["backlog"], terms["live"]) == (1, 3)


async def test_slow_first_tokens_ask_for_one_more() -> None:
    clock = ManualClock()
    policy = EnginePolicy(up_seconds=0.0, clock=clock, signs=Shown(clock).signs)
    slow = engine_record(EngineLoad(10_000), ttft_seconds=90.0) | QUIET
    wanted, terms = policy(context(slow, EMPTY, target=2))
    assert (wanted, terms["reason"]) == (3, "up")
    assert "ttft" in terms


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
    policy = EnginePolicy(up_seconds=0.0, clock=clock, signs=Shown(clock).signs)
    for _ in range(3):
        wanted, terms = policy(context(*[one and one | QUIET for one in replicas], target=2))
        assert (wanted, terms["reason"]) == (2, "missing")
        await clock.advance(60.0)


def test_old_records_and_no_records_are_missing() -> None:
    clock = ManualClock()
    policy = EnginePolicy(up_seconds=0.0, clock=clock, signs=Shown(clock).signs)
    assert policy(context(FULL | QUIET, target=1, age=30.0)) == (1, {"reason": "missing"})
    nothing = context(FULL | QUIET, target=1)
    nothing.raw_metrics = None
    assert policy(nothing) == (1, {"reason": "missing"})


async def test_a_replica_that_does_not_come_is_called_blocked() -> None:
    clock = ManualClock()
    shown = Shown(clock)
    policy = EnginePolicy(start_seconds=60.0, clock=clock, signs=shown.signs)
    one_of_two = context(FULL | QUIET, target=2)
    assert policy(one_of_two)[1]["reason"] == "steady"
    await clock.advance(121.0)
    assert policy(one_of_two)[1]["reason"] == "blocked"
    assert shown.value("reason", reason="blocked") == 1
    assert policy(context(FULL | QUIET, FULL | QUIET, target=2))[1]["reason"] != "blocked"


async def test_orchestrators_follow_the_store_and_hold_where_it_is_silent() -> None:
    clock = ManualClock()
    policy = OrchestratorPolicy(jobs=4, up_seconds=0.0, down_seconds=10.0, clock=clock, signs=Shown(clock).signs)
    assert policy(context({}, target=2)) == (2, {"reason": "missing"})
    assert policy(context(work_record(8, 3), None, target=2))[0] == 4
    full = work_record(80, 3) | allowed_record(4), work_record(80, 3), work_record(80, 3) | allowed_record(1)
    assert policy(context(*full, target=3)) == (3, {"reason": "pools", "backlog": 0.5, "live": 0.75, "demand": 1.25})
    idle = context(QUIET, QUIET, target=2)
    assert policy(idle)[0] == 2
    await clock.advance(10.0)
    assert policy(idle) == (1, {"reason": "down", "backlog": 0, "live": 0, "demand": 0})


async def test_tools_follow_calls_in_flight_where_providers_have_room() -> None:
    clock = ManualClock()
    policy = ToolsPolicy(calls=10, up_seconds=0.0, clock=clock, signs=Shown(clock).signs)
    assert policy(context(tools_record(ToolsLoad(9)), None, target=2))[1]["reason"] == "missing"
    busy = tools_record(ToolsLoad(9))
    assert policy(context(busy, target=1))[0] == 2
    waiting = tools_record(ToolsLoad(9, headroom=0.1))
    assert policy(context(waiting, target=1))[:1] == (1,)
    assert policy(context(waiting, target=1))[1]["reason"] == "headroom"


values = st.one_of(
    st.none(), st.floats(), st.integers(-(10**30), 10**30), st.text(max_size=3), st.lists(st.integers(), max_size=2)
)
points = st.one_of(values, st.builds(SimpleNamespace, timestamp=values, value=values))
names = st.sampled_from(
    ["kv_capacity", "kv_used", "running", "queued", "live", "allowed", "in_flight", "headroom", "ttft_seconds"]
)
metrics = st.one_of(
    values, st.dictionaries(names, st.dictionaries(st.sampled_from(["r0", "r1"]), st.lists(points, max_size=2)))
)


@pytest.mark.parametrize("policy", [EnginePolicy, OrchestratorPolicy, ToolsPolicy])
@given(raw=metrics, replicas=st.one_of(values, st.just(["r0", "r1"])), target=st.one_of(values, st.just(2)), now=values)
def test_garbage_is_missing_data_and_never_an_error(
    policy: Any, raw: object, replicas: object, target: object, now: object
) -> None:
    clock = ManualClock()
    called = policy(clock=clock, signs=Shown(clock).signs)
    garbage = SimpleNamespace(
        target_num_replicas=target,
        capacity_adjusted_min_replicas=1,
        capacity_adjusted_max_replicas=4,
        running_replicas=replicas,
        raw_metrics=raw,
        current_time=now,
    )
    wanted, state = called(garbage)
    assert isinstance(wanted, int)
    assert state["reason"]
    if target == 2:
        # Patience is not over at a first look, whatever it says.
        assert wanted == 2
    assert called(SimpleNamespace())[1] == {"reason": "missing"}


@pytest.mark.parametrize("policy", [EnginePolicy, OrchestratorPolicy, ToolsPolicy])
@pytest.mark.parametrize("huge", [1e308, 10**400])
def test_figures_that_no_replica_can_have_are_missing(policy: Any, huge: float) -> None:
    clock = ManualClock()
    record = dict.fromkeys((*asdict(EngineLoad(kv_capacity=1)), "queued", "live", "in_flight", "headroom"), huge)
    assert policy(clock=clock, signs=Shown(clock).signs)(context(record, record, target=2))[1]["reason"] == "missing"


@pytest.mark.parametrize("policy", [EnginePolicy, OrchestratorPolicy, ToolsPolicy])
@settings(max_examples=50)
@given(most=st.integers(1, 4), start=st.integers(1, 4), load=st.integers(0, 60_000), headroom=st.floats(0, 1))
async def test_a_steady_load_gives_a_steady_number_within_bounds(
    policy: Any, most: int, start: int, load: int, headroom: float
) -> None:
    """`load` in thousandths of a replica, spread evenly: it moves one way (and at most once back), settles, stays."""
    clock = ManualClock()
    called = policy(
        up_seconds=1.0, down_seconds=2.0, clock=clock, signs=Shown(clock).signs, **_sizes(policy, replica=10_000)
    )
    target, seen = min(start, most), []
    for _ in range(60):
        share = load // target
        record = {
            EnginePolicy: engine_record(EngineLoad(10_000, kv_used=share, prefill_per_second=1e6), ttft_seconds=1.0)
            | QUIET,
            OrchestratorPolicy: work_record(load // 2, load - load // 2),
            ToolsPolicy: tools_record(ToolsLoad(share, headroom)),
        }[policy]
        look = context(*[record] * target, target=target)
        look.capacity_adjusted_max_replicas = most
        target = called(look)[0]
        assert 1 <= target <= most
        seen.append(target)
        await clock.advance(1.0)
    moves = [after - before for before, after in pairwise(seen) if after != before]
    assert min(moves, default=0) >= -1
    assert sum(one * other < 0 for one, other in pairwise(moves)) <= 1
    assert len(set(seen[-20:])) == 1
    enough = min(most, math.ceil(load / 10_000 / 0.9 - 1e-9))
    if policy is not ToolsPolicy or headroom >= 0.2:
        assert seen[-1] >= enough


def _sizes(policy: Any, *, replica: int) -> dict[str, int]:
    return {OrchestratorPolicy: {"jobs": replica}, ToolsPolicy: {"calls": replica}}.get(policy, {})


async def test_the_note_says_what_was_decided_and_grows_old() -> None:
    clock = ManualClock()
    shown = Shown(clock)
    policy = EnginePolicy(up_seconds=0.0, clock=clock, signs=shown.signs)
    policy(context(EMPTY | work_record(2, 0), target=1))
    sign = parsed(shown.notes["engine"], clock.now())
    assert sign is not None
    assert sign.line() == ("wants 3, up: backlog 2.4, decode 0, kv 0, prefill 0, rehome_seconds 0")
    assert parsed(shown.notes["engine"], clock.now() + timedelta(seconds=31)) is None
    huge = json.dumps({"replicas": 1, "reason": "up", "terms": {"kv": 10**400}, "at": 1}).encode()
    for garbage in (None, b"", b"\xff", b"[]", b'{"replicas": 1}', json.dumps({"replicas": "x"}).encode(), huge):
        assert parsed(garbage, clock.now()) is None
