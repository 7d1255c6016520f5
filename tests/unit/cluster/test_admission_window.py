"""The admission window as properties, and in closed loop with a made-up pool."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from literesearcher.cluster.admission.window import Window, WindowTuning, look, room
from literesearcher.engine.load import EngineLoad

TUNING = WindowTuning()
POOL = 1_000_000

windows = st.dictionaries(
    st.sampled_from("abc"),
    st.builds(Window, jobs=st.floats(1, 200), changed_at=st.floats(0, 100), retracted=st.integers(0, 5)),
)
loads = st.dictionaries(
    st.sampled_from("abcd"),
    st.none()
    | st.builds(
        EngineLoad,
        kv_capacity=st.sampled_from([0, POOL]),
        kv_used=st.integers(0, POOL),
        retracted=st.integers(0, 10),
    ),
)


@given(known=windows, seen=loads, held=st.integers(0, 500), at=st.floats(100, 200))
def test_a_step_is_one_job_up_or_one_share_down(known, seen, held, at):
    after = look(known, seen, held=held, at=at, tuning=TUNING)
    assert set(after) == set(seen)
    for name, window in after.items():
        before = known.get(name)
        if before is None:
            assert window.jobs == TUNING.first
        elif seen[name] is None or at - before.changed_at < TUNING.interval_seconds:
            assert window == before
        else:
            assert window.jobs in (before.jobs, before.jobs + 1, max(TUNING.least, before.jobs * TUNING.cut))
        assert window.jobs >= TUNING.least


@given(known=windows, held=st.integers(0, 500), most=st.integers(0, 300))
def test_room_never_passes_the_windows_or_the_process(known, held, most):
    free = room(known, held=held, most=most)
    assert free >= 0
    if free:
        assert held + free <= min(most, sum(window.jobs for window in known.values()) + 1e-6)


@given(filled=st.floats(0, 1), more=st.floats(0, 1), held=st.integers(0, 100), jobs=st.floats(1, 100))
def test_more_pressure_never_brings_more_jobs(filled, more, held, jobs):
    known = {"a": Window(jobs, 0.0)}
    fuller = min(1.0, filled + more)
    one, other = (
        look(known, {"a": EngineLoad(POOL, kv_used=int(share * POOL))}, held=held, at=50.0, tuning=TUNING)["a"].jobs
        for share in (filled, fuller)
    )
    assert other <= one


def test_a_cut_waits_until_the_one_before_has_shown():
    full = {"a": EngineLoad(POOL, kv_used=POOL)}
    known = {"a": Window(40.0, 0.0)}
    for at in range(10, 200, 10):
        known = look(known, full, held=40, at=float(at), tuning=TUNING)
    assert known["a"].jobs == 30.0
    known = look(known, full, held=30, at=200.0, tuning=TUNING)
    assert known["a"].jobs == 22.5


def test_requests_thrown_out_cut_once_however_much_room_there_is_by_then():
    known = {"a": Window(10.0, 0.0)}
    thrown = {"a": EngineLoad(POOL, kv_used=100, retracted=3)}
    known = look(known, thrown, held=10, at=20.0, tuning=TUNING)
    assert known["a"].jobs == 7.5
    known = look(known, thrown, held=3, at=40.0, tuning=TUNING)
    assert known["a"].jobs == 7.5
    again = {"a": EngineLoad(POOL, kv_used=100, retracted=0)}
    known = look(known, again, held=3, at=60.0, tuning=TUNING)
    assert known["a"] == Window(7.5, 20.0, 0)


@example(job=5_000, workers=1, starts=[1.5, 1.0, 1.0])
@given(job=st.integers(5_000, 60_000), workers=st.integers(1, 3), starts=st.lists(st.floats(1, 40), min_size=3))
def test_workers_that_share_a_pool_fill_it_and_do_not_flood_it(job, workers, starts):
    """With always more jobs in the queue, each holding `job` tokens and ending after about 100 s."""
    known = [{"a": Window(starts[index], 0.0)} for index in range(workers)]
    held = [0] * workers
    filled = []
    for at in range(0, 4_000, 5):
        for index in range(workers):
            held[index] -= min(held[index], max(1, held[index] // 20))
        for index in range(workers):
            load = {"a": EngineLoad(POOL, kv_used=min(POOL, sum(held) * job))}
            known[index] = look(known[index], load, held=held[index], at=float(at), tuning=TUNING)
            held[index] += room(known[index], held=held[index], most=10_000)
        filled.append(sum(held) * job / POOL)
    late = filled[len(filled) // 2 :]
    step = workers * job / POOL
    assert max(late) <= TUNING.high + 2 * step
    assert sum(late) / len(late) >= TUNING.low * TUNING.cut - step
    shares = [sum(window.jobs for window in one.values()) for one in known]
    assert math.isfinite(sum(shares))
    assert min(shares) >= TUNING.least
