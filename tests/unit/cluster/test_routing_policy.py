"""The router's policy by its properties: who agrees, who moves, how far, and that nobody moves back and forth."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from literesearcher.cluster.routing.policy import Parameters, Replica, Turn, cost, order, route, with_known_rate
from literesearcher.engine.load import EngineLoad

NAMES = [f"r{number}" for number in range(8)]
JOBS = [f"job_{number}" for number in range(400)]
CALM = EngineLoad(kv_capacity=200_000, prefill_per_second=10_000)
DEFAULTS = Parameters()

loads = st.builds(
    EngineLoad,
    kv_capacity=st.integers(50_000, 500_000),
    kv_used=st.integers(0, 500_000),
    running=st.integers(0, 64),
    waiting=st.integers(0, 64),
    queued_prefill=st.integers(0, 400_000),
    prefill_per_second=st.sampled_from([0.0, 1_000.0, 20_000.0]),
    decode_per_second=st.floats(0, 5_000),
)
replicas_of_all_kinds = st.lists(
    st.builds(
        Replica,
        id=st.sampled_from(NAMES),
        weight=st.none() | st.floats(1, 1e6),
        load=st.none() | loads,
        sent_prefill=st.integers(0, 100_000),
        sent_kv=st.integers(0, 100_000),
        sent_calls=st.integers(0, 50),
        leaving=st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda one: one.id,
)
turns = st.builds(
    Turn,
    job=st.sampled_from(["", *JOBS[:20]]),
    prompt=st.integers(0, 200_000),
    generated=st.integers(0, 10_000),
    last=st.none() | st.sampled_from([*NAMES, "gone"]),
    kept=st.integers(0, 300_000),
    nonce=st.text(max_size=4),
)
parameters_of_all_kinds = st.builds(
    Parameters,
    full=st.floats(0.1, 1),
    options=st.integers(1, 8),
    hysteresis=st.floats(0, 0.9),
    margin_seconds=st.floats(0, 10),
)


def pool(count: int = 4, **changes: object) -> list[Replica]:
    """Replicas alike and calm."""
    return [Replica(name, 200_000, CALM, **changes) for name in NAMES[:count]]  # type: ignore[arg-type]


def loaded(replicas: list[Replica], name: str, **load: object) -> list[Replica]:
    """One of them has more to do."""
    return [
        replace(one, load=replace(one.load or CALM, **load)) if one.id == name else one  # type: ignore[arg-type]
        for one in replicas
    ]


def home(job: str, replicas: list[Replica]) -> str:
    """Of a job's first turn."""
    return route(Turn(job, 1_000), replicas, DEFAULTS).home


@given(turns, replicas_of_all_kinds, parameters_of_all_kinds)
@settings(deadline=None)
def test_every_decision_names_each_replica_in_service_once_and_the_chosen_one_first(turn, replicas, parameters):
    decision = route(turn, replicas, parameters)
    named = [name for rank in decision.ranks for name in rank]
    assert named[0] == decision.replica
    assert len(named) == len(set(named))
    assert all(decision.ranks)
    staying = {one.id for one in replicas if one.leaving <= 0}
    assert set(named) - {decision.replica} == (staying or {one.id for one in replicas}) - {decision.replica}
    assert decision.replica in {one.id for one in replicas}


def test_one_that_has_served_nothing_does_not_look_faster_than_those_that_have():
    """On slow machines, where the usual rate of a large card is far from anybody's."""
    slow, new = replace(CALM, prefill_per_second=500.0), replace(CALM, prefill_per_second=0.0)
    for job in JOBS[:40]:
        first = home(job, pool(2))
        replicas = [replace(one, load=slow if one.id == first else new) for one in pool(2)]
        turn = Turn(job, 3_000, last=first, kept=2_500)
        assert route(turn, replicas, DEFAULTS).replica == first
        assert route(Turn(job, 3_000), replicas, DEFAULTS).replica == first


@given(turns, replicas_of_all_kinds, st.randoms(use_true_random=False), loads)
@settings(deadline=None)
def test_callers_agree_on_a_home_whatever_they_know_of_the_load(turn, replicas, chance, load):
    other = [replace(one, load=chance.choice([None, load]), sent_calls=chance.randrange(9)) for one in replicas]
    chance.shuffle(other)
    other_turn = replace(turn, last=chance.choice(NAMES), prompt=1)
    mine, theirs = route(turn, replicas, DEFAULTS), route(other_turn, other, Parameters(hysteresis=0.9))
    assert mine.home == theirs.home


@given(st.sets(st.sampled_from(NAMES), min_size=2), st.data())
@settings(deadline=None)
def test_only_jobs_of_a_lost_replica_move_and_a_new_one_takes_only_its_own(names, data):
    before = [Replica(name, 200_000) for name in sorted(names)]
    lost = data.draw(st.sampled_from(sorted(names)))
    after = [one for one in before if one.id != lost]
    for job in JOBS[:60]:
        if home(job, before) != lost:
            assert home(job, after) == home(job, before)
        assert [one.id for one in order(job, after)] == [one.id for one in order(job, before) if one.id != lost]


def test_homes_follow_the_sizes_of_the_pools():
    replicas = [Replica("small", 100_000), Replica("large", 300_000), Replica("silent", None)]
    homes = Counter(home(f"job_{number}", replicas) for number in range(6_000))
    # The silent one counts as a usual one: 100, 300, 200 of 600.
    assert homes["small"] == pytest.approx(1_000, rel=0.1)
    assert homes["large"] == pytest.approx(3_000, rel=0.1)
    assert homes["silent"] == pytest.approx(2_000, rel=0.1)


@given(turns, replicas_of_all_kinds, parameters_of_all_kinds)
@settings(deadline=None, max_examples=300)
def test_at_constant_load_a_job_that_moved_stays_where_it_moved_to(turn, replicas, parameters):
    if not turn.job:
        return
    first = route(turn, replicas, parameters)
    # The load is what it was, the job's own tokens now lie where it went.
    settled = [
        replace(one, load=replace(one.load, kv_used=one.load.kv_used + turn.prompt + turn.generated))
        if one.id == first.replica and one.load is not None and one.id != turn.last
        else one
        for one in replicas
    ]
    again = replace(turn, last=first.replica, kept=turn.prompt + turn.generated, prompt=turn.prompt + turn.generated)
    second = route(again, settled, parameters)
    chosen = next(one for one in replicas if one.id == first.replica)
    if chosen.leaving <= 0 and first.label == "spill":
        assert second.replica == first.replica


@given(turns, replicas_of_all_kinds, parameters_of_all_kinds)
@settings(deadline=None, max_examples=300)
def test_a_move_stays_within_the_bound_and_is_cheaper_by_what_was_asked(turn, replicas, parameters):
    decision = route(turn, replicas, parameters)
    if decision.label != "spill":
        return
    by_id = {one.id: one for one in replicas}
    parameters = with_known_rate(parameters, replicas)
    target = by_id[decision.replica]
    assert target.load is not None
    held = target.load.kv_used + target.sent_kv + turn.prompt + turn.generated
    assert held <= parameters.full * target.load.kv_capacity
    assert target.leaving <= 0
    last = by_id.get(turn.last or "")
    base = last if last is not None and last.leaving <= 0 else by_id[decision.home]
    kept = min(turn.kept, turn.prompt) if base is last else 0
    before = cost(turn, base, kept, parameters) if base.leaving <= 0 else None
    if before is not None and base.id != target.id and (last is None or last.leaving <= 0):
        after = cost(turn, target, 0, parameters)
        assert before - after >= parameters.margin_seconds
        assert before - after >= parameters.hysteresis * before


@given(st.integers(20, 60), st.integers(1_000, 20_000))
@settings(deadline=None, max_examples=30)
def test_while_there_is_room_anywhere_no_pool_is_overfilled_by_new_jobs(count, tokens):
    """Jobs come one after another and stay: the bound holds on each pool as long as one has room."""
    parameters = Parameters(options=8, hysteresis=0.0, margin_seconds=0.0)
    used = dict.fromkeys(NAMES[:4], 0)
    for job in JOBS[:count]:
        replicas = [Replica(name, 200_000, replace(CALM, kv_used=used[name])) for name in used]
        decision = route(Turn(job, tokens, 500), replicas, parameters)
        room = any(used[name] + tokens + 500 <= 0.9 * 200_000 for name in used)
        used[decision.replica] += tokens + 500
        assert not room or used[decision.replica] <= 0.9 * 200_000


def test_a_job_goes_home_stays_and_spills_for_a_reason():
    replicas = pool()
    job = JOBS[0]
    first = route(Turn(job, 1_000), replicas, DEFAULTS)
    assert (first.label, first.replica) == ("home", first.home)
    other = next(name for name in NAMES[:4] if name != first.home)
    long = Turn(job, 50_000, last=other, kept=49_000)
    assert (route(long, replicas, DEFAULTS).label, route(long, replicas, DEFAULTS).replica) == ("stay", other)
    # 60,000 tokens of others stand before it: 6 s, and moving costs 5 s.
    queue = loaded(replicas, other, queued_prefill=60_000)
    assert route(long, queue, DEFAULTS).label == "stay"
    moved = route(long, loaded(replicas, other, queued_prefill=100_000), DEFAULTS)
    assert moved.label == "spill"
    assert moved.seconds == pytest.approx(5.0)
    # The same queue where all have it moves nobody.
    everywhere = [replace(one, load=replace(CALM, queued_prefill=100_000)) for one in replicas]
    assert route(long, everywhere, DEFAULTS).label == "stay"


def test_a_long_generation_leaves_a_crowd_and_a_short_one_does_not():
    replicas, job = pool(2), JOBS[6]
    crowded = loaded(replicas, home(job, replicas), running=20)
    # Twenty neighbours add 4 ms to each token.
    assert route(Turn(job, 1_000, 2_000), crowded, DEFAULTS).label == "spill"
    assert route(Turn(job, 1_000, 20), crowded, DEFAULTS).label == "home"


def test_a_full_pool_is_worth_leaving_only_where_another_has_room():
    replicas, job = pool(2), JOBS[1]
    at = home(job, replicas)
    turn = Turn(job, 30_000)
    full = loaded(replicas, at, kv_used=190_000)
    assert route(turn, full, DEFAULTS).label == "spill"
    both = [replace(one, load=replace(CALM, kv_used=190_000)) for one in replicas]
    assert (route(turn, both, DEFAULTS).label, route(turn, both, DEFAULTS).replica) == ("home", at)


def test_calls_of_this_caller_count_before_any_report_shows_them():
    replicas, job = pool(2), JOBS[2]
    at = home(job, replicas)
    sent = [replace(one, sent_prefill=100_000) if one.id == at else one for one in replicas]
    assert route(Turn(job, 1_000), sent, DEFAULTS).label == "spill"


def test_without_figures_the_hash_decides_and_the_next_two_are_asked_after():
    replicas = [Replica(name, 200_000) for name in NAMES[:5]]
    decision = route(Turn(JOBS[3], 1_000), replicas, DEFAULTS)
    assert (decision.label, decision.replica) == ("fallback", decision.home)
    assert [len(rank) for rank in decision.ranks] == [1, 2, 2]
    last = route(Turn(JOBS[3], 1_000, last="r4"), replicas, DEFAULTS)
    assert (last.label, last.replica) == ("fallback", "r4")


def test_a_lost_replica_sends_its_jobs_home_to_the_others():
    decision = route(Turn(JOBS[4], 1_000, last="gone", kept=900), pool(), DEFAULTS)
    assert (decision.label, decision.replica) == ("rehome", decision.home)


def test_a_leaving_replica_takes_no_new_job_and_lets_its_own_go_little_by_little():
    calm = pool()
    theirs = [job for job in JOBS if home(job, calm) == "r0"]

    def at(leaving: float, last: str | None) -> list[str]:
        replicas = [replace(calm[0], leaving=leaving), *calm[1:]]
        return [job for job in theirs if route(Turn(job, 1_000, last=last), replicas, DEFAULTS).replica == "r0"]

    assert at(0.01, None) == []
    few, half, all_gone = at(0.01, "r0"), at(0.5, "r0"), at(1.0, "r0")
    assert len(few) > 0.9 * len(theirs)
    assert 0.3 * len(theirs) < len(half) < 0.7 * len(theirs)
    assert set(half) <= set(few)
    assert all_gone == []
    # A small share is enough: the lot is drawn anew at each turn.
    leaving, turns = [replace(calm[0], leaving=0.25), *calm[1:]], range(1_000, 60_000, 1_000)
    stayed = [
        job
        for job in theirs
        if all(route(Turn(job, prompt, last="r0"), leaving, DEFAULTS).replica == "r0" for prompt in turns)
    ]
    assert stayed == []
    gone = [replace(calm[0], leaving=1.0), *calm[1:]]
    assert route(Turn(theirs[0], 1_000, last="r0"), gone, DEFAULTS).label == "rehome"


def test_where_all_leave_a_job_is_still_sent_somewhere():
    replicas = pool(leaving=1.0)
    new, old = route(Turn(JOBS[5], 9), replicas, DEFAULTS), route(Turn(JOBS[5], 9, last="r2"), replicas, DEFAULTS)
    assert (new.label, new.replica) == ("fallback", new.home)
    assert (old.label, old.replica) == ("fallback", "r2")
    with pytest.raises(ValueError, match="no replica"):
        route(Turn(JOBS[5], 9), [], DEFAULTS)


def test_calls_of_no_job_take_the_better_of_two_and_spread():
    replicas = loaded(pool(), "r0", queued_prefill=500_000)
    taken = Counter(route(Turn("", 1_000, nonce=str(number)), replicas, DEFAULTS).replica for number in range(300))
    assert set(taken) == {"r1", "r2", "r3"}
    unknown = route(Turn("", 1_000, nonce="x"), [replace(one, load=None) for one in replicas], DEFAULTS)
    assert (unknown.label, len(unknown.ranks[0])) == ("choices", 2)
