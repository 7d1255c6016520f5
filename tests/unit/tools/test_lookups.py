"""Names that block the system's resolver cost their own tenant, and nobody else."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.perimeter.lookups import Lookups

PATIENCE_SECONDS = 60.0
ADDRESS = "93.184.215.14"


class System:
    """The system's resolver: names that begin with `slow` block until they are let go, `none` do not exist."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.inside: set[str] = set()
        self.most = 0
        self._go: dict[str, threading.Event] = {}
        self._all = threading.Lock()

    def getaddrinfo(self, host: str, *_args: object, **_how: object) -> list[object]:
        go = self._event(host)
        with self._all:
            self.asked[host] += 1
            self.inside.add(host)
            self.most = max(self.most, len(self.inside))
        if host.startswith("slow"):
            go.wait(PATIENCE_SECONDS)
        with self._all:
            self.inside.discard(host)
        if "none" in host:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ADDRESS, 0))]

    def _event(self, host: str) -> threading.Event:
        with self._all:
            return self._go.setdefault(host, threading.Event())

    def let_go(self, *hosts: str) -> None:
        for host in hosts or list(self._go):
            self._event(host).set()


class Office:
    def __init__(self, system: System, *, threads: int = 4, each: int = 2) -> None:
        self.system = system
        self.clock = ManualClock()
        self.lookups = Lookups(clock=self.clock, seconds=3.0, threads=threads, each=each)
        self.tasks: list[asyncio.Task[list[str]]] = []

    def ask(self, host: str, tenant: str = "a") -> asyncio.Task[list[str]]:
        task = asyncio.create_task(self.lookups.addresses(host, tenant_id=tenant))
        self.tasks.append(task)
        return task

    async def until(self, true) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not true():
                await asyncio.sleep(0.005)

    async def rests(self) -> None:
        await self.until(lambda: self.lookups._places.idle and not self.lookups._under_way)


@pytest.fixture
async def make(monkeypatch) -> AsyncIterator[object]:
    made: list[Office] = []

    def build(**how: int) -> Office:
        system = System()
        monkeypatch.setattr(socket, "getaddrinfo", system.getaddrinfo)
        made.append(Office(system, **how))
        return made[-1]

    yield build
    for office in made:
        office.system.let_go()
        for task in office.tasks:
            task.cancel()
        await asyncio.gather(*office.tasks, return_exceptions=True)
        office.system.let_go()
        await office.rests()
        office.lookups.close()
        office.lookups.close()


async def timed_out(task: asyncio.Task[list[str]]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await task


async def test_a_tenants_slow_names_hold_no_more_than_its_share_of_the_threads(make):
    office = make(threads=4, each=2)
    slow = [office.ask(f"slow{number}.example") for number in range(20)]
    await office.until(lambda: len(office.system.inside) == 2)
    for number in range(20):
        assert await office.ask(f"good{number}.example", tenant="b") == [ADDRESS]
    await office.clock.advance(3)  # given up, but the threads are still there
    assert sum(task.done() for task in slow) == 2
    assert await office.ask("good.example", tenant="b") == [ADDRESS]
    assert office.system.most == 3
    await office.clock.advance(10)
    for task in slow:
        await timed_out(task)
    office.system.let_go()
    await office.rests()
    assert await office.ask("good.example") == [ADDRESS], "and they are free again"


async def test_the_limit_counts_from_the_lookups_start_and_not_from_the_wait_before_it(make):
    office = make(threads=1, each=1)
    first = office.ask("slow1.example")
    await office.until(lambda: office.system.inside == {"slow1.example"})
    second = office.ask("slow2.example", tenant="b")
    await office.clock.advance(5)
    await timed_out(first)
    assert not second.done()
    office.system.let_go("slow1.example")
    await office.until(lambda: office.system.inside == {"slow2.example"})
    await office.clock.advance(2.9)
    assert not second.done()
    office.system.let_go("slow2.example")
    assert await second == [ADDRESS]


async def test_whoever_gets_no_thread_in_time_is_told(make):
    office = make(threads=2, each=1)
    slow = office.ask("slow.example")
    waiting = office.ask("good.example")
    await office.until(lambda: office.system.inside == {"slow.example"})
    await office.clock.advance(10)
    await timed_out(slow)
    await timed_out(waiting)
    assert "good.example" not in office.system.asked


async def test_a_name_that_took_too_long_is_given_up_at_once_for_a_while_and_never_asked_twice_at_a_time(make):
    office = make()
    first = office.ask("slow.example")
    await office.until(lambda: office.system.inside == {"slow.example"})
    await office.clock.advance(3)
    await timed_out(first)
    for _ in range(5):
        await timed_out(office.ask("slow.example", tenant="b"))
        await office.clock.advance(3)
    assert office.system.asked["slow.example"] == 1
    office.system.let_go("slow.example")
    await office.rests()
    assert await office.ask("slow.example") == [ADDRESS], "its answer came after all"


async def test_a_slow_name_that_ends_without_an_answer_is_left_alone_for_ten_seconds(make):
    office = make()
    task = office.ask("slow-none.example")
    await office.until(lambda: office.system.inside == {"slow-none.example"})
    await office.clock.advance(3)
    await timed_out(task)
    office.system.let_go("slow-none.example")
    await office.rests()
    await office.clock.advance(9)
    await timed_out(office.ask("slow-none.example"))
    assert office.system.asked["slow-none.example"] == 1
    await office.clock.advance(1)
    with pytest.raises(socket.gaierror):
        await office.ask("slow-none.example")


async def test_one_lookup_serves_all_who_ask_and_outlives_the_one_who_began_it(make):
    office = make()
    tasks = [office.ask("slow.example", tenant=tenant) for tenant in "abcd"]
    await office.until(lambda: office.system.inside == {"slow.example"})
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    office.system.let_go("slow.example")
    assert await asyncio.gather(*tasks[1:]) == [[ADDRESS]] * 3
    assert office.system.asked["slow.example"] == 1


async def test_who_asks_for_the_same_while_all_threads_are_busy_asks_once(make):
    office = make(threads=1, each=1)
    office.ask("slow.example")
    await office.until(lambda: office.system.inside == {"slow.example"})
    same = [office.ask("good.example", tenant=tenant) for tenant in "bcd"]
    gone = office.ask("other.example", tenant="b")
    await office.clock.advance(0)
    gone.cancel()
    office.system.let_go("slow.example")
    assert await asyncio.gather(*same) == [[ADDRESS]] * 3
    assert "other.example" not in office.system.asked
    await office.rests()


async def test_a_name_that_does_not_exist_is_an_error_and_asked_for_again(make):
    office = make()
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await office.ask("none.example")
    assert office.system.asked["none.example"] == 2
    await office.rests()
