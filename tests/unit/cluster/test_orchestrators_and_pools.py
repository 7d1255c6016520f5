"""Orchestrators come by the backlog that the KV pools let in: as a property, and in closed loop with admission."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from literesearcher.cluster.admission.window import WindowTuning, allowed, look, room
from literesearcher.cluster.scaling.queue_policies import OrchestratorTuning, Work, decide_orchestrators
from literesearcher.cluster.scaling.steps import Fleet, Pace, Patience
from literesearcher.engine.load import EngineLoad

fleets = st.builds(
    lambda target, least, more: Fleet(target, target, least, least + more),
    st.integers(0, 12),
    st.integers(1, 4),
    st.integers(0, 8),
)


@given(queued=st.integers(0, 5_000), live=st.integers(0, 600), bound=st.none() | st.integers(0, 900), fleet=fleets)
def test_a_backlog_that_the_pools_do_not_let_in_brings_no_orchestrator(queued, live, bound, fleet):
    tuning = OrchestratorTuning(jobs=32, pace=Pace(high=0.9, low=0.6, up_seconds=0.0))
    fleet = replace(fleet, target=fleet.bounded(fleet.target))

    def decided(work):
        return decide_orchestrators(work, fleet=fleet, tuning=tuning, patience=Patience())[0]

    within = decided(Work(1.0, queued, live, bound))
    let_in = queued if bound is None else min(queued, max(0, bound - live))
    alone = decided(Work(1.0, let_in, live))
    assert (within.replicas, within.terms) == (alone.replicas, alone.terms)
    if within.reason == "pools":
        assert within.replicas < decided(Work(1.0, queued, live)).replicas


@example(job=50_000, jobs=64, most=6)
@example(job=5_000, jobs=16, most=6)
@settings(max_examples=30)
@given(job=st.integers(5_000, 60_000), jobs=st.sampled_from([4, 16, 64]), most=st.integers(2, 6))
def test_workers_come_as_pools_let_jobs_in_and_no_more(job, jobs, most):
    """An endless backlog, workers with windows of their own over one pool, jobs that end after about 100 s."""
    pool, tuning, windows, held = 1_000_000, OrchestratorTuning(jobs=jobs), [], []
    patience, target, seen = Patience(), 1, []
    for at in range(0, 6_000, 5):
        windows += [{} for _ in range(target - len(windows))]
        held += [0] * (target - len(held))
        for index in range(target):
            held[index] -= min(held[index], max(1, held[index] // 20))
        for index in range(target):
            load = {"a": EngineLoad(pool, kv_used=min(pool, sum(held) * job))}
            windows[index] = look(windows[index], load, held=held[index], at=float(at), tuning=WindowTuning())
            held[index] += room(windows[index], held=held[index], most=jobs)
        work = Work(float(at), 5_000, sum(held), sum(map(allowed, windows)))
        fleet = Fleet(target, target, 1, most)
        decision, patience = decide_orchestrators(work, fleet=fleet, tuning=tuning, patience=patience)
        # One that goes hands its jobs back.
        target = decision.replicas
        del windows[target:], held[target:]
        seen.append(target)
    late, borne = seen[len(seen) // 2 :], pool / job
    enough = min(most, max(1, math.floor(WindowTuning().low * borne / jobs)))
    assert max(late) >= enough, "a pool with room is not left empty for want of workers"
    assert max(late) <= max(1, math.ceil(1.5 * (borne + 8) / jobs / tuning.pace.low)), "what the pool bears is carried"
