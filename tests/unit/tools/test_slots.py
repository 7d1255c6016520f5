"""So many at once: handed on in turn, never lost, whoever is cancelled when."""

from __future__ import annotations

import asyncio
import random

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.limits.slots import Slots


def slots_of(number: int) -> tuple[Slots, ManualClock]:
    clock = ManualClock()
    return Slots("serper", number, clock=clock), clock


async def test_a_slot_goes_to_the_tenants_in_turn():
    slots, clock = slots_of(1)
    await slots.take("x", 100)
    order: list[str] = []

    async def take(tenant: str) -> None:
        await slots.take(tenant, 100)
        order.append(tenant)

    tasks = [asyncio.create_task(take(tenant)) for tenant in ("crowd",) * 20 + ("b", "c", "b")]
    await clock.advance(0)
    for number in range(23):
        slots.release(order[number - 1] if number else "x")
        await clock.advance(0)
    await asyncio.gather(*tasks)
    assert order[:6] == ["crowd", "b", "c", "crowd", "b", "crowd"]
    assert slots.taken == 1
    slots.release(order[-1])
    assert slots.idle


async def test_who_waits_till_the_deadline_is_refused_and_leaves_the_slot_to_others():
    slots, clock = slots_of(1)
    await slots.take("a", 100)
    hasty, patient = (asyncio.create_task(slots.take("a", deadline)) for deadline in (5.0, 50.0))
    await clock.advance(5)
    with pytest.raises(BoundaryError) as caught:
        await hasty
    assert (caught.value.code, caught.value.transient) == ("provider_busy", True)
    slots.release("a")
    await patient
    with pytest.raises(BoundaryError):
        await slots.take("a", 5.0)  # past already
    with pytest.raises(BoundaryError):
        await slots.take("a", 50.0, patient=False)
    slots.release("a")
    assert slots.idle
    assert clock.sleeping == 0


async def test_a_slot_handed_to_one_who_is_cancelled_in_that_moment_is_handed_on():
    slots, clock = slots_of(1)
    await slots.take("a", 100)
    first, second = (asyncio.create_task(slots.take("a", 100)) for _ in range(2))
    await clock.advance(0)
    slots.release("a")  # first has it, and does not know yet
    first.cancel()
    await second
    assert first.cancelled()
    assert slots.taken == 1
    slots.release("a")
    assert slots.idle


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_is_cancelled_no_slot_is_lost_and_none_is_given_twice(seed):
    chance = random.Random(seed)
    slots, clock = slots_of(3)
    inside = most = 0

    async def visit() -> None:
        nonlocal inside, most
        tenant, site = chance.choice("abc"), chance.choice(["", "x", "y"])
        await slots.take(tenant, clock.monotonic() + chance.choice([1, 5, 100]), site=site)
        inside += 1
        most = max(most, inside)
        try:
            await clock.sleep(chance.choice([0, 0.5, 2]))
        finally:
            inside -= 1
            slots.release(tenant, site)

    tasks = [asyncio.create_task(visit()) for _ in range(60)]
    for _ in range(40):
        await clock.advance(chance.choice([0, 0.5, 1]))
        for task in chance.sample(tasks, 2):
            task.cancel()
    await clock.advance(200)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 3
    assert slots.idle
    assert inside == 0


async def test_whoever_waits_when_all_is_closed_is_told():
    slots, clock = slots_of(1)
    await slots.take("a", 100)
    waiting = asyncio.create_task(slots.take("a", 100))
    await clock.advance(0)
    slots.close()
    with pytest.raises(BoundaryError) as caught:
        await waiting
    assert caught.value.code == "tools_closed"


# Nobody holds them all


class Held:
    """Slots, and who holds one until told to end."""

    def __init__(self, number: int, **how) -> None:
        self.clock = ManualClock()
        self.slots = Slots("scrapedo", number, clock=self.clock, **how)
        self.inside: list[tuple[str, str]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._ends: dict[tuple[str, str], list[asyncio.Event]] = {}

    async def come(self, tenant: str, site: str = "", times: int = 1) -> None:
        for _ in range(times):
            self._tasks.append(asyncio.create_task(self._hold(tenant, site)))
        await self.clock.advance(0)

    async def _hold(self, tenant: str, site: str) -> None:
        await self.slots.take(tenant, self.clock.monotonic() + 10_000, site=site)
        end = asyncio.Event()
        self._ends.setdefault((tenant, site), []).append(end)
        self.inside.append((tenant, site))
        await end.wait()
        self.inside.remove((tenant, site))
        self.slots.release(tenant, site)

    async def end(self, tenant: str, site: str = "", times: int = 1) -> None:
        for _ in range(times):
            self._ends[tenant, site].pop().set()
            await self.clock.advance(0)

    def holds(self, tenant: str) -> int:
        return sum(one == tenant for one, _ in self.inside)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_a_tenant_that_was_always_alone_holds_all():
    held = Held(5)
    await held.come("a", times=8)
    assert held.holds("a") == 5
    await held.aclose()


async def test_a_tenant_with_slow_requests_leaves_a_place_to_another_that_came_lately():
    held = Held(5)
    await held.come("b")
    await held.end("b")
    await held.come("a", times=8)
    assert held.holds("a") == 4
    await held.come("b")
    assert held.holds("b") == 1, "at once"
    await held.come("b")
    await held.come("c")
    await held.end("a")
    assert (held.holds("a"), held.holds("b"), held.holds("c")) == (3, 1, 1), "who holds fewest is next"
    await held.end("a")
    assert (held.holds("a"), held.holds("b"), held.holds("c")) == (2, 2, 1)
    await held.end("a")
    assert (held.holds("a"), held.holds("b"), held.holds("c")) == (2, 2, 1), "whoever waits has it, as nobody else does"
    await held.aclose()


async def test_who_is_alone_again_holds_all():
    held = Held(3)
    await held.come("b")
    await held.end("b")
    await held.come("a", times=9)
    assert held.holds("a") == 2
    await held.clock.advance(299)
    await held.end("a")
    assert held.holds("a") == 2
    await held.clock.advance(2)
    await held.end("a")
    assert held.holds("a") == 3
    await held.aclose()


async def test_one_sites_pages_leave_a_place_to_other_sites_whoever_asks():
    held = Held(5)
    await held.come("a", "good")
    await held.end("a", "good")
    for tenant in "ababab":
        await held.come(tenant, "slow")
    assert len(held.inside) == 4
    await held.come("a", "good")
    assert held.inside[-1] == ("a", "good"), "past one of the same tenant that waits for the slow site"
    await held.end("a", "slow")
    assert sum(site == "slow" for _, site in held.inside) == 4
    assert len(held.inside) == 5
    await held.aclose()


async def test_the_only_place_goes_round():
    held = Held(1)
    await held.come("b")
    await held.end("b")
    await held.come("a", times=3)
    assert held.holds("a") == 1
    await held.come("b")
    await held.end("a")
    await held.end("a")
    assert (held.holds("a"), held.holds("b")) == (0, 1), "before the third of the other"
    await held.aclose()


async def test_no_more_than_each_may_hold_even_alone():
    held = Held(9, each=4)
    await held.come("a", times=9)
    assert held.holds("a") == 4
    await held.come("b", times=9)
    assert held.holds("b") == 4
    await held.aclose()
