"""Every token bucket keeps the contract: the one in process, and the one of all processes over a real Redis.

Over Redis time goes by on the server's clock; nothing here asserts how long something took, only what may have been
given out in the time that did go by.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pydantic import SecretStr

from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.limits.bucket import Bucket, LocalBucket
from literesearcher.tools.limits.shared_bucket import SharedBucket
from literesearcher.tools.redis_link import RedisLink

PATIENCE_SECONDS = 60.0
Make = Callable[[float, int], Bucket]
Pass = Callable[[float], Awaitable[None]]


class BucketContract:
    """`make(per_second, burst)` gives a full bucket; `passes(seconds)` lets at least so much time go by."""

    async def test_a_full_bucket_gives_its_burst_and_then_says_when_to_come_again(self, make: Make, passes: Pass):
        bucket = make(2.0, 5)
        granted = await bucket.take({"a": 9})
        assert granted.tokens == {"a": 5}
        assert 0 < granted.wait_seconds <= 0.5
        assert not granted.paused
        await passes(granted.wait_seconds + 0.01)
        assert (await bucket.take({"a": 1})).tokens == {"a": 1}

    async def test_nobody_is_told_to_wait_who_got_all(self, make: Make):
        granted = await make(1.0, 5).take({"a": 2, "b": 1, "": 1})
        assert (dict(granted.tokens), granted.wait_seconds) == ({"a": 2, "b": 1, "": 1}, 0.0)

    async def test_tenants_share_what_there_is(self, make: Make):
        granted = await make(0.001, 10).take({"crowd": 1000, "b": 2, "c": 1000})
        assert dict(granted.tokens) == {"crowd": 4, "b": 2, "c": 4}

    async def test_what_was_idle_saves_up_no_turns(self, make: Make, passes: Pass):
        bucket = make(100.0, 8)
        for _ in range(5):
            await bucket.take({"a": 8})
            await passes(0.1)
        assert (await bucket.take({"a": 99, "b": 99})).tokens.get("b", 0) <= 5

    async def test_a_pause_gives_nothing_and_leaves_no_burst(self, make: Make, passes: Pass):
        bucket = make(0.5, 9)
        await bucket.pause(1.5)
        await bucket.pause(0.01)
        granted = await bucket.take({"a": 1})
        assert (granted.tokens, granted.paused) == ({}, True)
        assert 0 < granted.wait_seconds <= 1.5
        while granted.paused:  # where it is shared, the server began it a moment after the process
            await passes(granted.wait_seconds + 0.01)
            granted = await bucket.take({"a": 9})
        assert granted.tokens == {"a": 1}

    async def test_never_more_than_burst_and_rate(self, make: Make, passes: Pass):
        bucket = make(200.0, 7)
        total = 0
        began = self.time()
        for number in range(60):
            total += sum((await bucket.take({"a": 3, f"b{number % 3}": 2})).tokens.values())
            await passes(0.005)
            assert total <= 7 + 200.0 * (self.time() - began) + 1e-6

    def time(self) -> float:
        return time.monotonic()


class TestLocalBucket(BucketContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        self._clock = ManualClock()
        return self._clock

    def time(self) -> float:
        return self._clock.monotonic()

    @pytest.fixture
    def passes(self, clock: ManualClock) -> Pass:
        return clock.advance

    @pytest.fixture
    def make(self, clock: ManualClock) -> Make:
        return lambda per_second, burst: LocalBucket(per_second=per_second, burst=burst, clock=clock)


class TestSharedBucket(BucketContract):
    @pytest.fixture
    def passes(self) -> Pass:
        return asyncio.sleep

    @pytest.fixture
    async def link(self, redis_url: str) -> AsyncIterator[RedisLink]:
        link = link_to(redis_url)
        yield link
        await link.aclose()

    @pytest.fixture
    def make(self, link: RedisLink) -> Make:
        return lambda per_second, burst: shared(uuid.uuid4().hex, per_second, burst, link)

    async def test_processes_share_one_burst_and_one_rate(self, link: RedisLink, redis_url: str):
        other_link = link_to(redis_url)
        name = uuid.uuid4().hex
        one, two = shared(name, 0.001, 10, link), shared(name, 0.001, 10, other_link)
        first = await one.take({"a": 7})
        second = await two.take({"b": 7})
        assert (dict(first.tokens), dict(second.tokens)) == ({"a": 7}, {"b": 3})
        await other_link.aclose()

    async def test_a_pause_holds_in_every_process_and_each_then_knows_it(self, link: RedisLink):
        name = uuid.uuid4().hex
        one, two = shared(name, 10.0, 10, link), shared(name, 10.0, 10, link)
        await one.pause(50.0)
        granted = await two.take({"a": 1})
        assert (granted.tokens, granted.paused) == ({}, True)
        assert two.local.paused_seconds > 40

    async def test_a_tenant_in_nine_processes_gets_no_more_than_one_in_a_single_process(self, link: RedisLink):
        name = uuid.uuid4().hex
        got = {"crowd": 0, "b": 0}

        async def wait(tenant: str) -> None:
            bucket = shared(name, 20.0, 1, link)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while got["b"] < 20:
                    granted = await bucket.take({tenant: 50})
                    got[tenant] += sum(granted.tokens.values())
                    await asyncio.sleep(granted.wait_seconds)

        async with asyncio.TaskGroup() as group:
            for _ in range(9):
                group.create_task(wait("crowd"))
            group.create_task(wait("b"))
        # One may be ahead, the more the later the other asks on a busy machine; counted by process it were 180.
        assert got["crowd"] <= 40

    async def test_who_was_sent_away_and_never_came_again_holds_nobody_up_for_long(self, link: RedisLink):
        bucket = shared(uuid.uuid4().hex, 50.0, 1, link)
        await bucket.take({"dead": 1})
        await bucket.take({"dead": 1})
        taken = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while taken < 40:
                granted = await bucket.take({"alive": 40 - taken})
                taken += sum(granted.tokens.values())
                await asyncio.sleep(granted.wait_seconds)

    async def test_the_impatient_leave_no_place_behind(self, link: RedisLink):
        bucket = shared(uuid.uuid4().hex, 0.2, 1, link)
        await bucket.take({"x": 1})
        assert not (await bucket.take({"gone": 1}, patient=False)).tokens
        held = await link.run("test", lambda client: client.zrange(bucket._keys[1], 0, -1))
        assert held == []
        await bucket.take({"here": 1})
        assert await link.run("test", lambda client: client.zrange(bucket._keys[1], 0, -1)) == [b"here"]

    async def test_every_key_expires(self, link: RedisLink):
        bucket = shared(uuid.uuid4().hex, 10.0, 20, link)
        await bucket.take({"a": 30, "b": 1})
        await bucket.pause(2.0)
        left = [await link.run("test", lambda client, key=key: client.pttl(key)) for key in bucket._keys]
        assert all(0 < one <= 70_000 for one in left), left

    async def test_more_tenants_than_one_asking_carries_get_their_turn(self, link: RedisLink):
        bucket = shared(uuid.uuid4().hex, 0.001, 150, link)
        granted = await bucket.take({f"t{number}": 1 for number in range(250)})
        assert sum(granted.tokens.values()) == 100
        assert sum((await bucket.take({f"t{number}": 1 for number in range(100, 250)})).tokens.values()) == 50


def link_to(url: str) -> RedisLink:
    return RedisLink(SecretStr(url), clock=SystemClock(), metrics=ToolMetrics(), timeout_seconds=10.0)


def shared(name: str, per_second: float, burst: int, link: RedisLink) -> SharedBucket:
    local = LocalBucket(per_second=per_second, burst=burst, clock=SystemClock())
    return SharedBucket(name, local=local, link=link)
