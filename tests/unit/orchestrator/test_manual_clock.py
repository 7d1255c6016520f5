"""The clock that tests move."""

import asyncio

from literesearcher.testing.manual_clock import ManualClock


async def test_sleepers_wake_in_order_and_see_their_own_instant():
    clock = ManualClock()
    start, seen = clock.now(), []

    async def sleeper(name: str, *waits: float) -> None:
        for wait in waits:
            await clock.sleep(wait)
            seen.append((name, (clock.now() - start).total_seconds()))

    tasks = [asyncio.create_task(sleeper("late", 5)), asyncio.create_task(sleeper("often", 2, 2, 2))]
    await asyncio.sleep(0)
    await clock.advance(5)
    assert seen == [("often", 2.0), ("often", 4.0), ("late", 5.0)]
    assert clock.sleeping == 1
    await clock.advance(1)
    assert seen[-1] == ("often", 6.0)
    assert clock.monotonic() == 6.0
    await asyncio.gather(*tasks)


async def test_a_cancelled_sleeper_is_forgotten():
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock.sleeping == 0
    await clock.advance(2)
    assert task.cancelled()
