"""Two processes' governors on one Redis: one rate between them, one pause, and tools that go on when Redis does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

import services
from literesearcher.errors import BoundaryError
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import SystemClock
from literesearcher.timing.retry import RetryPolicy
from literesearcher.tools.governor import Governor, Rules, Tally
from literesearcher.tools.limits.lanes import Limit
from literesearcher.tools.redis_link import RedisLink

PATIENCE_SECONDS = 60.0


class Upstream:
    """A provider that both processes ask: when it was asked by whom."""

    id = "serper"
    cache_key = ""
    private = False
    policy = RetryPolicy(tries=1)

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.refuses_for = 0.0
        self.began = time.monotonic()

    def ask(self, process: Process, tenant: str) -> asyncio.Task[str]:
        async def once(seconds: float) -> str:
            self.asked.append((time.monotonic(), tenant))
            if self.refuses_for:
                raise BoundaryError("no", code="provider_busy", transient=True, retry_after=self.refuses_for)
            return "answer"

        return asyncio.create_task(
            process.governor.call(
                self, once, tenant_id=tenant, timeout_seconds=PATIENCE_SECONDS, tally=Tally(), host="a.example"
            )
        )

    def burst(self) -> float:
        """The least burst that explains what was asked at 50 a second since the start; later is never against it."""
        return max(number + 1 - 50.0 * (at - self.began) for number, (at, _) in enumerate(self.asked))


class Process:
    def __init__(self, url: str, limit: Limit, redis_seconds: float) -> None:
        clock, self.metrics = SystemClock(), ToolMetrics()
        self.link = RedisLink(SecretStr(url), clock=clock, metrics=self.metrics, timeout_seconds=redis_seconds)
        rules = Rules({"serper": limit}, Limit(10_000.0, 10_000, 10_000), hedge=False)
        self.governor = Governor(clock=clock, metrics=self.metrics, rules=rules, link=self.link)

    async def aclose(self) -> None:
        await self.governor.aclose()
        await self.link.aclose()

    @property
    def redis_failures(self) -> float:
        return sum(
            sample.value
            for family in self.metrics.cache_errors.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        )


@pytest.fixture
def limit() -> Limit:
    return Limit(50.0, 5, 1000)


@pytest.fixture
def redis_seconds() -> float:
    return 20.0


@pytest.fixture
async def processes(
    redis_server: services.RedisServer, limit: Limit, redis_seconds: float
) -> AsyncIterator[tuple[Process, Process]]:
    one, two = (Process(redis_server.url, limit, redis_seconds) for _ in range(2))
    yield one, two
    await one.aclose()
    await two.aclose()


async def test_two_processes_share_one_rate(processes):
    upstream = Upstream()
    tasks = [upstream.ask(processes[number % 2], f"t{number % 3}") for number in range(100)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await asyncio.gather(*tasks) == ["answer"] * 100
    assert upstream.burst() < 6, "twice the rate would need a burst of 55"
    assert processes[0].redis_failures == processes[1].redis_failures == 0


async def test_a_crowd_in_one_process_does_not_starve_a_tenant_in_another(processes):
    upstream = Upstream()
    crowd = [upstream.ask(processes[0], "crowd") for _ in range(1000)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not upstream.asked:
            await asyncio.sleep(0)
        await asyncio.gather(*(upstream.ask(processes[1], "b") for _ in range(30)))
    served = [tenant for _, tenant in upstream.asked]
    last = len(served) - served[::-1].index("b")
    # Half of what went out is its own, but for the burst, a lead of a quarter of a second, and the scheduling of tasks.
    assert served[:last].count("crowd") <= 30 + 5 + 13 + 30
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_a_retry_after_seen_by_one_process_pauses_the_other(processes):
    upstream = Upstream()
    upstream.refuses_for = 300.0
    with pytest.raises(BoundaryError):
        await upstream.ask(processes[0], "a")
    upstream.refuses_for = 0.0
    with pytest.raises(BoundaryError) as caught:
        await upstream.ask(processes[1], "b")
    assert caught.value.code == "provider_busy"
    assert len(upstream.asked) == 1


async def test_a_flushed_redis_costs_no_call(processes, redis_server: services.RedisServer):
    upstream = Upstream()
    tasks = [upstream.ask(processes[number % 2], f"t{number % 3}") for number in range(120)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        for asked in (20, 50, 80):
            while len(upstream.asked) < asked:
                await asyncio.sleep(0.005)
            await processes[0].link.run("test", lambda client: client.flushall())
            await processes[0].link.run("test", lambda client: client.script_flush())
        assert await asyncio.gather(*tasks) == ["answer"] * 120
    assert processes[0].redis_failures == 0


@pytest.mark.parametrize("redis_seconds", [0.25])
@pytest.mark.parametrize("how", ["stop", "freeze"])
async def test_a_redis_that_dies_in_mid_call_costs_no_call_and_each_process_keeps_the_rate(
    processes, redis_server: services.RedisServer, how: str
):
    upstream = Upstream()
    tasks = [upstream.ask(processes[0], f"t{number % 3}") for number in range(80)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(upstream.asked) < 20:
            await asyncio.sleep(0.005)
        getattr(redis_server, how)()
        assert await asyncio.gather(*tasks) == ["answer"] * 80
        assert processes[0].redis_failures > 0
        assert upstream.burst() < 8, "and no fresh burst for want of a Redis"
        if how == "stop":
            redis_server.start()
        else:
            redis_server.thaw()
        failures = -1.0
        while failures != processes[0].redis_failures:
            # Until asking costs no failure any more, the process is back on the shared bucket.
            failures = processes[0].redis_failures
            assert await upstream.ask(processes[0], "a") == "answer"


async def test_a_redis_that_was_never_there(limit: Limit):
    process = Process(f"redis://:hunter2secret@127.0.0.1:{services.free_port()}/0", limit, 0.25)
    upstream = Upstream()
    async with asyncio.timeout(PATIENCE_SECONDS):
        tasks = [upstream.ask(process, "a") for _ in range(30)]
        assert await asyncio.gather(*tasks) == ["answer"] * 30
    assert upstream.burst() < 6
    await process.aclose()


@pytest.mark.parametrize("redis_seconds", [0.25])
async def test_whoever_is_cancelled_while_redis_hangs_leaves_nothing_behind(processes, redis_server):
    upstream = Upstream()
    assert await upstream.ask(processes[0], "a") == "answer"
    redis_server.freeze()
    tasks = [upstream.ask(processes[0], "a") for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    async with asyncio.timeout(PATIENCE_SECONDS):
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    redis_server.thaw()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await upstream.ask(processes[0], "a") == "answer"
    for lane in (processes[0].governor._gates["serper"].lane, *processes[0].governor._lanes._sites.values()):
        assert lane._slots.idle
