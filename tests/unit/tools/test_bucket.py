"""The bucket in process: never more than the rate allows, fair between tenants, quiet while paused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.limits.bucket import MAX_PAUSE_SECONDS, LocalBucket


def bucket_of(per_second: float = 2.0, burst: int = 4) -> tuple[LocalBucket, ManualClock]:
    clock = ManualClock()
    return LocalBucket(per_second=per_second, burst=burst, clock=clock), clock


steps = st.lists(
    st.tuples(
        st.floats(0, 5, allow_nan=False),
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), max_size=3),
        st.sampled_from([0.0, 0.0, 0.0, 0.5, 3.0]),
    ),
    max_size=30,
)


@given(st.floats(0.1, 500), st.integers(1, 50), steps)
async def test_in_no_span_of_time_more_than_burst_and_rate(per_second, burst, steps):
    bucket, clock = bucket_of(per_second, burst)
    taken: list[tuple[float, int]] = []
    for wait, wants, pause in steps:
        await clock.advance(wait)
        granted = bucket.take_now(wants)
        assert all(granted.tokens[tenant] <= wants[tenant] for tenant in granted.tokens)
        number = sum(granted.tokens.values())
        taken.append((clock.monotonic(), number))
        # Whoever did not get all is told when there is one more; nobody else is told to wait.
        assert (granted.wait_seconds > 0) == (number < sum(wants.values()) or granted.paused)
        bucket.pause_now(pause)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            span = taken[last][0] - taken[first][0]
            assert sum(number for _, number in taken[first : last + 1]) <= burst + per_second * span + 1e-6


async def test_the_wait_that_it_names_is_the_right_one():
    bucket, clock = bucket_of(per_second=3.0, burst=1)
    for _ in range(20):
        granted = bucket.take_now({"a": 1})
        if not granted.tokens:
            await clock.advance(granted.wait_seconds)
            assert bucket.take_now({"a": 1}).tokens == {"a": 1}


async def test_a_crowd_gets_no_more_than_its_share():
    bucket, clock = bucket_of(per_second=10, burst=1)
    got: dict[str, int] = {}
    for _ in range(90):
        for tenant, number in bucket.take_now({"crowd": 1000, "b": 5, "c": 1}).tokens.items():
            got[tenant] = got.get(tenant, 0) + number
        await clock.advance(0.1)
    assert all(29 <= got[tenant] <= 31 for tenant in ("crowd", "b", "c"))


async def test_alone_a_tenant_gets_the_whole_rate_and_saves_up_no_turns_by_being_idle():
    bucket, clock = bucket_of(per_second=10, burst=10)
    for _ in range(10):
        assert bucket.take_now({"a": 99}).tokens == {"a": 10}
        await clock.advance(1)
    # b was away while a took a hundred; it gets half from here on, not all.
    assert bucket.take_now({"a": 99, "b": 99}).tokens == {"a": 5, "b": 5}


async def test_a_pause_gives_nothing_and_leaves_no_burst():
    bucket, clock = bucket_of(per_second=2, burst=10)
    bucket.pause_now(5)
    bucket.pause_now(1)  # no pause is cut short
    await clock.advance(4.5)
    granted = bucket.take_now({"a": 1})
    assert (granted.tokens, granted.paused, granted.wait_seconds) == ({}, True, 0.5)
    await clock.advance(0.5)
    assert bucket.take_now({"a": 9}).tokens == {"a": 1}
    await clock.advance(1)
    assert bucket.take_now({"a": 9}).tokens == {"a": 2}


@pytest.mark.parametrize("seconds", [86_400.0, math.inf, 10.0**300])
async def test_nobody_is_shut_out_for_a_day_by_one_answer(seconds):
    bucket, clock = bucket_of()
    bucket.pause_now(seconds)
    assert bucket.paused_seconds == MAX_PAUSE_SECONDS
    await clock.advance(MAX_PAUSE_SECONDS)
    assert bucket.take_now({"a": 1}).tokens == {"a": 1}


async def test_what_another_bucket_gave_out_is_gone_here_too():
    bucket, _ = bucket_of(burst=4)
    bucket.spend(3)
    assert bucket.take_now({"a": 4}).tokens == {"a": 1}
    bucket.spend(100)
    assert bucket.least_wait(1) == 0.5


async def test_tenants_that_are_served_are_not_remembered_for_ever():
    bucket, clock = bucket_of(per_second=1000, burst=1000)
    for number in range(5000):
        bucket.take_now({f"tenant{number % 50}": 1, "steady": 1})
        await clock.advance(0.01)
    assert len(bucket._ahead) <= 51
