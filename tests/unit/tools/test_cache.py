"""Reuse: what is kept, for how long, who waits on whom, and what cancellation does."""

from __future__ import annotations

import asyncio

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.cache import Produced, Reuse, key_of


class Source:
    """A lookup that counts and waits for its gate."""

    def __init__(self, *, size: int = 10, keep: bool = True, error: Exception | None = None) -> None:
        self.runs = 0
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.size, self.keep, self.error = size, keep, error

    async def __call__(self) -> Produced[str]:
        self.runs += 1
        self.entered.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        return Produced(f"value {self.runs}", self.size, self.keep)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def reuse(clock) -> Reuse:
    return Reuse(clock=clock, max_bytes=100)


async def get(reuse, source, key="k", lifetime=60.0):
    found = await reuse.get(key, lifetime_seconds=lifetime, produce=source)
    return found.value, found.cache


async def test_a_value_is_kept_for_its_lifetime(reuse, clock):
    source = Source()
    born = clock.now().timestamp()
    assert await get(reuse, source) == ("value 1", "miss")
    await clock.advance(59)
    found = await reuse.get("k", lifetime_seconds=60, produce=source)
    assert (found.value, found.cache, found.at) == ("value 1", "hit", born)
    await clock.advance(1)
    assert await get(reuse, source) == ("value 2", "miss")


async def test_identical_lookups_at_once_run_once(reuse):
    source = Source()
    source.gate.clear()
    tasks = [asyncio.create_task(get(reuse, source)) for _ in range(5)]
    await source.entered.wait()
    source.gate.set()
    assert sorted(await asyncio.gather(*tasks), key=lambda pair: pair[1]) == [
        *[("value 1", "coalesced")] * 4,
        ("value 1", "miss"),
    ]
    assert source.runs == 1


async def test_a_cancelled_first_caller_does_not_fail_the_others(reuse):
    source = Source()
    source.gate.clear()
    first = asyncio.create_task(get(reuse, source))
    await source.entered.wait()
    second = asyncio.create_task(get(reuse, source))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.gate.set()
    assert await second == ("value 1", "coalesced")
    assert source.cancelled == 0


async def test_the_last_caller_to_leave_cancels_the_lookup_and_the_next_starts_anew(reuse):
    source = Source()
    source.gate.clear()
    callers = [asyncio.create_task(get(reuse, source)) for _ in range(2)]
    await source.entered.wait()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    source.gate.set()
    assert await get(reuse, source) == ("value 2", "miss")
    assert source.cancelled == 1


async def test_failures_reach_every_waiter_and_are_not_kept(reuse):
    source = Source(error=BoundaryError("down"))
    source.gate.clear()
    tasks = [asyncio.create_task(get(reuse, source)) for _ in range(3)]
    await source.entered.wait()
    source.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, BoundaryError) for result in results)
    source.error = None
    assert await get(reuse, source) == ("value 2", "miss")


async def test_what_is_not_to_be_kept_is_not(reuse):
    source = Source(keep=False)
    assert await get(reuse, source) == ("value 1", "miss")
    assert await get(reuse, source) == ("value 2", "miss")


async def test_the_least_recently_used_leaves_when_bytes_run_out(reuse):
    sources = {name: Source(size=25) for name in "abcde"}
    for name in "abcd":
        await get(reuse, sources[name], key=name)
    await get(reuse, sources["a"], key="a")
    await get(reuse, sources["e"], key="e")
    held = [name for name in "acde" if (await get(reuse, sources[name], key=name))[1] == "hit"]
    assert held == list("acde")
    assert (await get(reuse, sources["b"], key="b"))[1] == "miss"


async def test_one_value_may_not_push_out_all_others(reuse):
    source = Source(size=26)
    await get(reuse, source)
    assert (await get(reuse, source))[1] == "miss"


async def test_off_turns_off_cache_and_single_flight(clock):
    reuse = Reuse(clock=clock, enabled=False)
    source = Source()
    source.gate.clear()
    tasks = [asyncio.create_task(get(reuse, source)) for _ in range(3)]
    await source.entered.wait()
    source.gate.set()
    assert [how for _, how in await asyncio.gather(*tasks)] == [None] * 3
    assert source.runs == 3


async def test_closing_ends_what_is_under_way_with_an_error_not_a_cancellation(reuse):
    source = Source()
    source.gate.clear()
    waiting = asyncio.create_task(get(reuse, source))
    await source.entered.wait()
    await reuse.aclose()
    await reuse.aclose()
    with pytest.raises(BoundaryError):
        await waiting
    assert source.cancelled == 1


def test_parts_of_a_key_do_not_run_into_each_other():
    assert key_of("a", "bc") != key_of("ab", "c")
    assert key_of("a", "") != key_of("a")
    assert key_of("\ud800") != key_of("a")
