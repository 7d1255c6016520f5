"""Live text while Redis is down, frozen or restarting: nothing raises, nobody waits long, and it comes back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest

import services
from literesearcher.errors import ConfigurationError
from literesearcher.jobs.live import Delta, Live
from literesearcher.jobs.live_redis import RedisLive
from literesearcher.testing.contracts.live import PATIENCE_SECONDS

SECRET = "hunter2secret"
HANG_SECONDS = 20.0
JOB = "job_" + "1" * 32


@pytest.fixture
async def lives(redis_server: services.RedisServer) -> AsyncIterator[tuple[RedisLive, RedisLive]]:
    one, other = RedisLive(redis_server.url), RedisLive(redis_server.url)
    yield one, other
    await one.aclose()
    await other.aclose()


async def use_all(live: Live) -> None:
    """Every method once, within a time that only a hang meets."""
    async with asyncio.timeout(HANG_SECONDS):
        for index in range(50):
            await live.publish(Delta(JOB, 1, 1, index, "x"))
        await live.finish(JOB, 1)
        await live.ring("queue")
        assert await live.listening(JOB) is False
        async with live.follow(JOB), live.listen("inbox") as bell:
            assert not await bell.wait(0.01)


async def text_flows(live: Live, second: Live, turn: int) -> None:
    """Publish anew until the other end hears it: each turn is new, so what was lost does not matter."""
    async with second.follow(JOB) as deltas, asyncio.timeout(PATIENCE_SECONDS):
        heard = asyncio.create_task(anext(deltas))
        while not heard.done():
            await live.publish(Delta(JOB, turn, 1, 0, "hello"))
            turn += 1
            await asyncio.sleep(0.05)
        assert heard.result().text == "hello"


async def bells_ring(live: Live, second: Live) -> None:
    async with second.listen("bell") as bell, asyncio.timeout(PATIENCE_SECONDS):
        while True:
            await live.ring("bell")
            if await bell.wait(0.1):
                return


async def test_a_redis_that_was_never_there(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        live = RedisLive(f"redis://:{SECRET}@127.0.0.1:{services.free_port()}/0")
        await use_all(live)
        await live.aclose()
    assert SECRET not in caplog.text


async def test_a_redis_that_restarts(redis_server: services.RedisServer, lives: tuple[RedisLive, RedisLive]) -> None:
    """A follower and a bell that were there before hear again, and the bell rings for what may have been missed."""
    live, second = lives
    await text_flows(live, second, 1)
    await bells_ring(live, second)
    async with second.follow(JOB) as deltas, second.listen("before") as bell:
        redis_server.stop()
        await use_all(live)
        redis_server.start()
        assert await bell.wait(PATIENCE_SECONDS)

        async def hear() -> str:
            async for delta in deltas:
                if delta.text == "again":
                    return delta.text
            raise AssertionError

        hearing = asyncio.create_task(hear())
        async with asyncio.timeout(PATIENCE_SECONDS):
            turn = 10_000
            while not hearing.done():
                turn += 1
                await live.publish(Delta(JOB, turn, 1, 0, "again"))
                await asyncio.sleep(0.05)
        assert await hearing == "again"
    await bells_ring(live, second)


async def test_a_redis_that_hangs(redis_server: services.RedisServer, lives: tuple[RedisLive, RedisLive]) -> None:
    """It takes connections and says nothing. Publishing costs no waiting at all; then it comes back."""
    live, second = lives
    await text_flows(live, second, 1)
    redis_server.freeze()
    try:
        began = time.monotonic()
        for index in range(20_000):
            await live.publish(Delta(JOB, 50_000, 1, index, "x"))
            await live.ring("queue")
        assert time.monotonic() - began < HANG_SECONDS
        await use_all(live)
    finally:
        redis_server.thaw()
    await text_flows(live, second, 60_000)
    await bells_ring(live, second)


async def test_closing_while_redis_hangs(redis_server: services.RedisServer) -> None:
    live = RedisLive(redis_server.url)
    async with live.listen("bell"):
        await live.publish(Delta(JOB, 1, 1, 0, "x"))
    redis_server.freeze()
    try:
        await live.publish(Delta(JOB, 1, 1, 1, "y"))
        async with asyncio.timeout(HANG_SECONDS):
            await live.aclose()
            await live.aclose()
    finally:
        redis_server.thaw()


async def test_broken_text_stops_nothing(lives: tuple[RedisLive, RedisLive]) -> None:
    live, second = lives
    await live.publish(Delta(JOB, 1, 1, 0, "\ud800"))
    await text_flows(live, second, 2)


async def test_texts_are_bounded_and_expire(redis_server: services.RedisServer) -> None:
    from redis.asyncio import Redis

    live = RedisLive(redis_server.url)
    async with live.follow(JOB) as deltas:
        for turn in range(1, 30):
            for index in range(30):
                await live.publish(Delta(JOB, turn, 1, index, "x" * 100))
            await anext(deltas)
            await live.finish(JOB, turn)
        await live.publish(Delta(JOB, 31, 1, 0, "last"))
        while (await anext(deltas)).text != "last":
            pass
    client = Redis.from_url(redis_server.url)
    keys = [key async for key in client.scan_iter()]
    assert keys
    assert [0 < await client.ttl(key) <= 900 for key in keys] == [True] * len(keys)
    await client.aclose()
    await live.aclose()


@pytest.mark.parametrize("url", ["", f"http://:{SECRET}@h/0", f"redis://:{SECRET}@h:port/0", f"redis://:{SECRET}@[/0"])
async def test_a_url_that_cannot_be_read(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisLive(url)
    assert caught.value.code == "redis_url_invalid"
    assert SECRET not in caught.value.message
    assert caught.value.__suppress_context__
