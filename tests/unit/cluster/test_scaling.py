"""The scaling policies as properties, and in closed loop with a made-up fleet: no Ray, no clock."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literesearcher.cluster.scaling.engine_policy import (
    EngineMemory,
    EngineReading,
    EngineTuning,
    decide,
    rehome_seconds,
)
from literesearcher.cluster.scaling.queue_policies import (
    OrchestratorTuning,
    ToolsLoad,
    ToolsReading,
    ToolsTuning,
    Work,
    decide_orchestrators,
    decide_tools,
)
from literesearcher.cluster.scaling.steps import Fleet, Pace, Patience, needed, step
from literesearcher.engine.load import EngineLoad

POOL = 100_000
TUNING = EngineTuning()
AT_ONCE = EngineTuning(pace=Pace(up_seconds=0.0, down_seconds=0.0))

loads = st.builds(
    EngineLoad,
    kv_capacity=st.sampled_from([0, POOL, 3 * POOL]),
    kv_used=st.integers(0, 3 * POOL),
    running=st.integers(0, 200),
    waiting=st.integers(0, 200),
    queued_prefill=st.integers(0, 10**7),
    prefill_per_second=st.sampled_from([0.0, 500.0, 30_000.0]),
    decode_per_second=st.floats(0, 5_000),
)
readings = st.builds(
    EngineReading,
    at=st.floats(1_000, 10_000),
    replicas=st.lists(loads, max_size=6),
    missing=st.integers(0, 2),
    queued=st.none() | st.integers(0, 10_000),
    live=st.none() | st.integers(0, 500),
    ttft_seconds=st.none() | st.floats(0, 300),
)
fleets = st.builds(
    lambda target, running, least, span: Fleet(target, min(running, target), least, least + span),
    target=st.integers(0, 12),
    running=st.integers(0, 12),
    least=st.integers(0, 4),
    span=st.integers(0, 8),
)
instants = st.none() | st.floats(0, 1_000)
patiences = st.builds(
    Patience,
    over_since=instants,
    over_least=st.floats(0, 20) | st.just(math.inf),
    under_since=instants,
)
memories = st.builds(
    EngineMemory,
    patience=patiences,
    seen_at=instants,
    seen_held=st.floats(0, 10 * POOL),
    growth=st.floats(-10_000, 10_000),
    job_tokens=st.floats(0, 100_000),
    decode=st.floats(0, 5_000),
    prefill=st.floats(0, 30_000),
    guard=st.integers(0, 12),
    guard_demand=st.floats(0, 12),
)


@given(reading=readings, fleet=fleets, memory=memories)
def test_within_bounds_and_down_by_one_at_most(reading, fleet, memory):
    decision, _ = decide(reading, fleet=fleet, tuning=TUNING, memory=memory)
    assert fleet.least <= decision.replicas <= fleet.most
    if fleet.least <= fleet.target <= fleet.most:
        assert decision.replicas >= fleet.target - 1
    assert all(value >= 0 for value in decision.terms.values())


@given(reading=readings, fleet=fleets, memory=memories, gap=st.sampled_from(["replica", "backlog", "all"]))
def test_holds_on_missing_data(reading, fleet, memory, gap):
    if gap == "replica":
        reading = replace(reading, missing=1)
    elif gap == "backlog":
        reading = replace(reading, queued=None)
    else:
        reading = replace(reading, replicas=(), missing=fleet.target)
    if gap == "all" and not fleet.target:
        return
    decision, after = decide(reading, fleet=fleet, tuning=AT_ONCE, memory=memory)
    assert decision.replicas == fleet.bounded(fleet.target)
    assert decision.reason == "missing"
    # Patience that was gathered before a gap counts for nothing after it.
    assert after.patience == Patience()


@given(
    reading=readings,
    fleet=fleets,
    memory=memories,
    more=st.tuples(st.integers(0, POOL), st.integers(0, 50), st.integers(0, 10**6), st.integers(0, 500)),
)
def test_monotone_in_load(reading, fleet, memory, more):
    reading = replace(reading, missing=0, queued=reading.queued or 0)
    kv, requests, prompt, queued = more
    heavier = replace(
        reading,
        queued=reading.queued + queued,
        replicas=[
            replace(
                load,
                kv_used=load.kv_used + kv,
                running=load.running + requests,
                waiting=load.waiting + requests,
                queued_prefill=load.queued_prefill + prompt,
            )
            for load in reading.replicas
        ],
    )
    light, _ = decide(reading, fleet=fleet, tuning=AT_ONCE, memory=memory)
    heavy, _ = decide(heavier, fleet=fleet, tuning=AT_ONCE, memory=memory)
    assert heavy.replicas >= light.replicas


@given(reading=readings, fleet=fleets, memory=memories)
def test_never_down_while_a_rehome_costs_more_than_it_saves(reading, fleet, memory):
    reading = replace(reading, missing=0, queued=reading.queued or 0)
    decision, after = decide(reading, fleet=fleet, tuning=AT_ONCE, memory=memory)
    if decision.reason == "down":
        since = memory.patience.under_since
        low_for = 0.0 if since is None else reading.at - since
        assert rehome_seconds(reading, after) <= low_for
        assert fleet.running == fleet.target


def test_a_pool_of_unknown_prefill_rate_is_never_given_up_while_it_holds_something():
    reading = EngineReading(at=0.0, replicas=[EngineLoad(POOL, kv_used=1), EngineLoad(POOL)])
    memory, fleet = EngineMemory(), Fleet(2, 2, 1, 4)
    for at in range(0, 10_000, 100):
        decision, memory = decide(replace(reading, at=float(at)), fleet=fleet, tuning=TUNING, memory=memory)
        assert decision.replicas == 2
    empty = replace(reading, replicas=[EngineLoad(POOL), EngineLoad(POOL)])
    decision, memory = decide(replace(empty, at=10_001.0), fleet=fleet, tuning=TUNING, memory=memory)
    assert (decision.replicas, decision.reason) == (1, "down")


@given(demand=st.floats(0, 30), fleet=fleets)
def test_a_step_is_reached_once_patience_is_over_and_not_before(demand, fleet):
    fleet = replace(fleet, target=fleet.bounded(fleet.target))
    pace, patience = Pace(), Patience()
    first, _, patience = step(demand, 0.0, fleet=fleet, pace=pace, patience=patience)
    assert first == fleet.target
    later, _, _ = step(demand, pace.up_seconds, fleet=fleet, pace=pace, patience=patience)
    assert later == max(fleet.target, needed(demand, fleet, pace))
    if later < fleet.most:
        assert demand <= later * pace.high + 1e-6


def test_a_peak_alone_brings_nothing_and_what_stays_of_it_does():
    fleet, pace = Fleet(1, 1, 1, 9), Pace(up_seconds=3.0)
    _, _, patience = step(8.0, 0.0, fleet=fleet, pace=pace, patience=Patience())
    wanted, reason, _ = step(0.5, 1.0, fleet=fleet, pace=pace, patience=patience)
    assert (wanted, reason) == (1, "steady")
    _, _, patience = step(1.6, 2.0, fleet=fleet, pace=pace, patience=patience)
    wanted, reason, _ = step(8.0, 4.0, fleet=fleet, pace=pace, patience=patience)
    assert (wanted, reason) == (2, "up")


class _Cluster:
    """Replicas that take `start` seconds to come, and a load that spreads evenly over those that run."""

    def __init__(self, *, least: int, most: int, start: float) -> None:
        self.fleet = Fleet(least, least, least, most)
        self._start = start
        self._coming: list[float] = []
        self.memory = EngineMemory()
        self.targets: list[int] = []

    def look(self, at: float, *, held: int, running: int = 0, queued: int = 0, live: int | None = None) -> str:
        ready = [one for one in self._coming if one <= at]
        self._coming = [one for one in self._coming if one > at]
        self.fleet = replace(self.fleet, running=self.fleet.running + len(ready))
        number = self.fleet.running
        load = EngineLoad(
            kv_capacity=POOL,
            kv_used=held // number,
            running=running // number,
            prefill_per_second=10_000.0,
            decode_per_second=min(running / number * 60.0, 1_200.0),
        )
        reading = EngineReading(at, [load] * number, queued=queued, live=live)
        decision, self.memory = decide(reading, fleet=self.fleet, tuning=TUNING, memory=self.memory)
        grown = decision.replicas - self.fleet.target
        if grown > 0:
            self._coming += [at + self._start] * grown
        running_now = self.fleet.running - (1 if grown < 0 else 0)
        self.fleet = replace(self.fleet, target=decision.replicas, running=running_now)
        self.targets.append(decision.replicas)
        return decision.reason


@given(
    held=st.integers(0, 900_000),
    running=st.integers(0, 300),
    queued=st.integers(0, 50),
    live=st.integers(1, 64),
    start=st.sampled_from([5.0, 120.0, 300.0]),
)
def test_no_oscillation_at_constant_load(held, running, queued, live, start):
    """From any start: it moves, settles, and stays."""
    cluster = _Cluster(least=1, most=10, start=start)
    for look in range(1_500):
        cluster.look(float(look), held=held, running=running, queued=queued, live=live)
    moves = [after - before for before, after in pairwise(cluster.targets) if after != before]
    turns = sum(one * other < 0 for one, other in pairwise(moves))
    assert turns <= 1
    assert len(set(cluster.targets[-400:])) == 1
    pools = held / POOL
    assert cluster.targets[-1] >= min(10, math.ceil(pools / TUNING.pace.high - 1e-9))


def test_kv_that_grows_is_met_one_cold_start_ahead():
    """Twenty jobs that grow 30 tokens a second each: the replica is asked for before the pool is full."""
    cluster = _Cluster(least=1, most=4, start=TUNING.start_seconds)
    full_at = asked_at = None
    for look in range(400):
        held = 600 * look // 2
        cluster.look(float(look), held=held, live=20)
        if asked_at is None and cluster.targets[-1] > 1:
            asked_at = look
        if full_at is None and held > POOL:
            full_at = look
    assert asked_at is not None
    assert full_at is not None
    assert asked_at + TUNING.start_seconds <= full_at


def test_paused_jobs_count_and_their_end_brings_replicas_down_one_at_a_time():
    cluster = _Cluster(least=1, most=6, start=30.0)
    for look in range(300):
        cluster.look(float(look), held=350_000, running=0, live=10)
    assert cluster.targets[-1] >= 5
    reasons = {cluster.look(float(look), held=0, live=0) for look in range(300, 1_500)}
    assert cluster.targets[-1] == 1
    falls = [before - after for before, after in pairwise(cluster.targets)]
    assert max(falls) == 1
    assert "down" in reasons


@pytest.mark.parametrize("slow", [30.0, 400.0])
def test_ttft_asks_for_one_more_and_does_not_swing(slow):
    """The guard is over its bound with one replica and fine with two: two stay."""
    fleet, memory, targets = Fleet(1, 1, 1, 5), EngineMemory(), []
    for at in range(1_000):
        load = EngineLoad(POOL, kv_used=20_000 // fleet.target, prefill_per_second=10_000.0)
        ttft = slow if fleet.target == 1 else 1.0
        reading = EngineReading(float(at), [load] * fleet.target, ttft_seconds=ttft)
        decision, memory = decide(reading, fleet=fleet, tuning=TUNING, memory=memory)
        fleet = replace(fleet, target=decision.replicas, running=decision.replicas)
        targets.append(decision.replicas)
    assert targets[-1] == (2 if slow > TUNING.ttft_seconds else 1)
    assert sorted(targets) == targets


@given(ttft=st.floats(0, 59), reading=readings, fleet=fleets)
def test_a_fine_ttft_is_no_reason_to_go_down(ttft, reading, fleet):
    reading = replace(reading, missing=0, queued=reading.queued or 0)
    with_it, _ = decide(replace(reading, ttft_seconds=ttft), fleet=fleet, tuning=AT_ONCE, memory=EngineMemory())
    without, _ = decide(replace(reading, ttft_seconds=None), fleet=fleet, tuning=AT_ONCE, memory=EngineMemory())
    assert with_it == without


@given(queued=st.integers(0, 5_000), live=st.integers(0, 600), fleet=fleets)
def test_orchestrators_follow_the_backlog(queued, live, fleet):
    tuning = OrchestratorTuning(jobs=32)
    patience, at = Patience(), 0.0
    fleet = replace(fleet, target=fleet.bounded(fleet.target))
    targets = []
    for _ in range(1_500):
        decision, patience = decide_orchestrators(Work(at, queued, live), fleet=fleet, tuning=tuning, patience=patience)
        fleet = replace(fleet, target=decision.replicas, running=decision.replicas)
        targets.append(decision.replicas)
        at += 1.0
    carried = (queued + live) / 32
    assert targets[-1] >= min(fleet.most, math.ceil(carried / tuning.pace.high - 1e-9))
    assert len(set(targets[-300:])) == 1
    if targets[-1] > fleet.least:
        assert carried > (targets[-1] - 1) * tuning.pace.low
    held, _ = decide_orchestrators(Work(at, None, live), fleet=fleet, tuning=tuning, patience=patience)
    assert (held.replicas, held.reason) == (fleet.target, "missing")


@given(calls=st.lists(st.integers(0, 300), min_size=1, max_size=4), headroom=st.floats(0, 1))
def test_tools_rise_only_where_providers_have_room(calls, headroom):
    tuning = ToolsTuning(pace=Pace(high=0.8, low=0.5, up_seconds=0.0, down_seconds=0.0))
    fleet = Fleet(len(calls), len(calls), 1, 8)
    reading = ToolsReading(1.0, [ToolsLoad(number, headroom) for number in calls])
    decision, _ = decide_tools(reading, fleet=fleet, tuning=tuning, patience=Patience())
    if headroom < tuning.headroom:
        assert decision.replicas <= fleet.target
    elif sum(calls) / tuning.calls > fleet.target * tuning.pace.high:
        assert decision.replicas > fleet.target
    gap, _ = decide_tools(replace(reading, missing=1), fleet=fleet, tuning=tuning, patience=Patience())
    assert (gap.replicas, gap.reason) == (fleet.target, "missing")
    more = replace(reading, replicas=[ToolsLoad(number + 10, headroom) for number in calls])
    heavier, _ = decide_tools(more, fleet=fleet, tuning=tuning, patience=Patience())
    assert heavier.replicas >= decision.replicas
