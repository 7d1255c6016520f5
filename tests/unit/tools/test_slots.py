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
    for _ in range(23):
        slots.release()
        await clock.advance(0)
    await asyncio.gather(*tasks)
    assert order[:6] == ["crowd", "b", "c", "crowd", "b", "crowd"]
    assert slots.taken == 1
    slots.release()
    assert slots.idle


async def test_who_waits_till_the_deadline_is_refused_and_leaves_the_slot_to_others():
    slots, clock = slots_of(1)
    await slots.take("a", 100)
    hasty, patient = (asyncio.create_task(slots.take("a", deadline)) for deadline in (5.0, 50.0))
    await clock.advance(5)
    with pytest.raises(BoundaryError) as caught:
        await hasty
    assert (caught.value.code, caught.value.transient) == ("provider_busy", True)
    slots.release()
    await patient
    with pytest.raises(BoundaryError):
        await slots.take("a", 5.0)  # past already
    with pytest.raises(BoundaryError):
        await slots.take("a", 50.0, patient=False)
    slots.release()
    assert slots.idle
    assert clock.sleeping == 0


async def test_a_slot_handed_to_one_who_is_cancelled_in_that_moment_is_handed_on():
    slots, clock = slots_of(1)
    await slots.take("a", 100)
    first, second = (asyncio.create_task(slots.take("a", 100)) for _ in range(2))
    await clock.advance(0)
    slots.release()  # first has it, and does not know yet
    first.cancel()
    await second
    assert first.cancelled()
    assert slots.taken == 1
    slots.release()
    assert slots.idle


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_is_cancelled_no_slot_is_lost_and_none_is_given_twice(seed):
    chance = random.Random(seed)
    slots, clock = slots_of(3)
    inside = most = 0

    async def visit() -> None:
        nonlocal inside, most
        await slots.take(chance.choice("abc"), clock.monotonic() + chance.choice([1, 5, 100]))
        inside += 1
        most = max(most, inside)
        try:
            await clock.sleep(chance.choice([0, 0.5, 2]))
        finally:
            inside -= 1
            slots.release()

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
