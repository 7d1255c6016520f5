"""The link to Redis over a real server: its limits, its pause, and what is no reason for either."""

from __future__ import annotations

import asyncio
import time

import pytest
from pydantic import SecretStr

from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.redis_link import PAUSE_SECONDS, RedisAway, RedisLink


@pytest.fixture
async def make():
    made = []

    def build(url, *, timeout=10.0, connections=4) -> RedisLink:
        clock = ManualClock()
        metrics = ToolMetrics()
        link = RedisLink(SecretStr(url), clock=clock, metrics=metrics, timeout_seconds=timeout, connections=connections)
        link.clock, link.metrics = clock, metrics
        made.append(link)
        return link

    yield build
    for link in made:
        await link.aclose()
        await link.aclose()


def errors(link, operation) -> float:
    return link.metrics.cache_errors.labels(operation)._value.get()


async def test_more_calls_than_connections_take_turns(make, redis_url):
    link = make(redis_url)
    assert await asyncio.gather(*(link.run("get", lambda redis: redis.ping()) for _ in range(200))) == [True] * 200
    assert errors(link, "get") == 0


async def test_a_server_that_is_away_is_not_asked_again_until_the_pause_is_over(make, redis_server):
    link = make(redis_server.url)
    await link.run("get", lambda redis: redis.ping())
    redis_server.stop()
    with pytest.raises(RedisAway):
        await link.run("get", lambda redis: redis.ping())
    asked = []

    async def ask(redis):
        asked.append(1)
        return await redis.ping()

    with pytest.raises(RedisAway):
        await link.run("get", ask)
    assert asked == []
    assert (errors(link, "get"), errors(link, "paused")) == (1, 1)
    redis_server.start()
    await link.clock.advance(PAUSE_SECONDS)
    assert await link.run("get", ask) is True


async def test_those_who_queue_behind_a_failure_do_not_each_wait_for_their_own(make, redis_server):
    link = make(redis_server.url, timeout=0.2, connections=2)
    await link.run("get", lambda redis: redis.ping())
    redis_server.freeze()
    calls = [link.run("get", lambda redis: redis.ping()) for _ in range(50)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    redis_server.thaw()
    assert all(isinstance(result, RedisAway) for result in results)
    assert errors(link, "get") <= 2
    assert errors(link, "paused") >= 48


async def test_an_error_that_the_server_answers_costs_no_pause(make, redis_server):
    link = make(redis_server.url)
    await link.run("put", lambda redis: redis.rpush("k", "v"))
    with pytest.raises(RedisAway):
        await link.run("get", lambda redis: redis.get("k"))
    assert await link.run("get", lambda redis: redis.ping()) is True
    await link.run("put", lambda redis: redis.config_set("maxmemory", "1mb"))
    with pytest.raises(RedisAway):
        await link.run("put", lambda redis: redis.set("large", bytes(3_000_000)))
    assert await link.run("get", lambda redis: redis.ping()) is True


async def test_a_loop_that_is_late_is_not_taken_for_a_slow_server(make, redis_url):
    link = make(redis_url, timeout=0.2)

    async def ask(redis):
        for _ in range(5):
            await redis.ping()
        return True

    asking = asyncio.create_task(link.run("get", ask))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    time.sleep(0.4)  # the whole limit passes while nobody can read an answer
    assert await asking is True


async def test_no_error_names_the_url(make, redis_server):
    link = make(redis_server.url.replace("redis://", "redis://:s3cret@"))
    redis_server.stop()
    with pytest.raises(RedisAway) as caught:
        await link.run("get", lambda redis: redis.ping())
    assert "s3cret" not in repr(caught.value)
    assert caught.value.__context__ is None
