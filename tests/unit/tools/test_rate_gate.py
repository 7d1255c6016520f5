"""The line before a bucket: round robin by tenant, no wait past a deadline, nobody left behind."""

from __future__ import annotations

import asyncio

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.limits.bucket import LocalBucket
from literesearcher.tools.limits.rate import RateGate


class Office:
    """A gate of one token a second, and who has entered."""

    def __init__(self, per_second: float = 1.0, burst: int = 1) -> None:
        self.clock = ManualClock()
        self.bucket = LocalBucket(per_second=per_second, burst=burst, clock=self.clock)
        self.gate = RateGate("serper", self.bucket, clock=self.clock)
        self.entered: list[str] = []

    def come(self, tenant: str, deadline: float = 10_000.0, **how) -> asyncio.Task[str]:
        async def enter() -> str:
            why = await self.gate.enter(tenant, deadline, **how)
            self.entered.append(tenant)
            return why

        return asyncio.create_task(enter())


@pytest.fixture
async def office():
    office = Office()
    yield office
    await office.gate.aclose()


async def refused(task: asyncio.Task[str]) -> BoundaryError:
    with pytest.raises(BoundaryError) as caught:
        await task
    return caught.value


async def test_a_thousand_of_one_tenant_do_not_stand_before_another(office: Office):
    crowd = [office.come("crowd") for _ in range(1000)]
    await office.clock.advance(0)
    office.come("b")
    office.come("c")
    office.come("c")
    await office.clock.advance(6)
    # One token at once and one a second; whoever comes is next after at most one of each other tenant.
    assert office.entered[0] == "crowd"
    assert sorted(office.entered[1:4]) == ["b", "c", "crowd"]
    assert sorted(office.entered[4:6]) == ["c", "crowd"]
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_order_within_a_tenant_is_kept(office: Office):
    done: list[int] = []

    async def enter(number: int) -> None:
        await office.gate.enter("a", 1000)
        done.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(enter(number))
        await office.clock.advance(10)
    assert done == list(range(10))


async def test_a_wait_that_would_pass_the_deadline_is_not_begun(office: Office):
    waiting = [office.come("a") for _ in range(4)]
    await office.clock.advance(0)
    error = await refused(office.come("a", deadline=2.9))
    assert (error.code, error.transient, error.retry_after) == ("provider_busy", True, 4.0)
    # Another tenant's turn comes sooner.
    sooner = office.come("b", deadline=2.9)
    await office.clock.advance(2)
    assert await sooner == "rate"
    await office.clock.advance(10)
    await asyncio.gather(*waiting)


async def test_whoever_is_overtaken_is_told_as_soon_as_there_is_no_hope(office: Office):
    office.come("a")
    await office.clock.advance(0)
    last = office.come("b", deadline=1.5)
    await office.clock.advance(0)
    await office.gate.pause(5)
    error = await refused(last)
    assert (error.code, error.transient) == ("provider_busy", True)
    assert office.clock.monotonic() == 0.0


async def test_a_pause_that_came_from_elsewhere_refuses_whoever_cannot_outwait_it(office: Office):
    office.come("x")
    patient, hasty = office.come("a"), office.come("b", deadline=3.0)
    await office.clock.advance(0)
    office.bucket.pause_now(30)  # not through the gate: the gate learns it when it asks
    await office.clock.advance(1)
    assert (await refused(hasty)).code == "provider_busy"
    assert not patient.done()
    await office.clock.advance(30)
    assert await patient == "retry_after"


async def test_who_leaves_costs_no_token_and_holds_nobody_up(office: Office):
    office.come("a")
    await office.clock.advance(0)
    leaving = [office.come("a") for _ in range(50)]
    await office.clock.advance(0)
    staying = office.come("a")
    await office.clock.advance(0)
    for task in leaving:
        task.cancel()
    await office.clock.advance(1)
    assert staying.done()
    assert all(task.cancelled() for task in leaving)
    assert office.gate.idle is False
    await office.clock.advance(1)
    assert office.gate.idle


async def test_the_impatient_enter_at_once_or_not_at_all(office: Office):
    assert await office.come("a", patient=False) == "rate"
    assert (await refused(office.come("a", patient=False))).code == "provider_busy"
    assert office.clock.sleeping == 0


async def test_whoever_waits_when_all_is_closed_is_told(office: Office):
    office.come("a")
    await office.clock.advance(0)
    waiting = [office.come("a") for _ in range(3)]
    await office.clock.advance(0)
    await office.gate.aclose()
    await office.gate.aclose()
    assert [(await refused(task)).code for task in waiting] == ["tools_closed"] * 3


async def test_a_bucket_that_breaks_breaks_those_who_wait_and_no_later_ones(office: Office, monkeypatch):
    office.come("a")
    await office.clock.advance(0)

    async def broken(wants, **how):
        raise ValueError("no such script")

    with monkeypatch.context() as patched:
        patched.setattr(office.bucket, "take", broken)
        waiting = office.come("a")
        await office.clock.advance(0)
        with pytest.raises(ValueError, match="no such script"):
            await waiting
    later = office.come("a")
    await office.clock.advance(1)
    assert await later == "rate"


@pytest.mark.parametrize("turns", range(12))
async def test_whoever_joins_at_any_turn_of_the_loop_is_served(turns: int):
    clock = ManualClock()

    class Elsewhere(LocalBucket):
        """Answers a turn of the loop later, as a bucket in another process does."""

        async def take(self, waiting, *, patient=True):
            await asyncio.sleep(0)
            return await super().take(waiting, patient=patient)

    gate = RateGate("the site", Elsewhere(per_second=5, burst=5, clock=clock), clock=clock)
    gate._local = LocalBucket(per_second=5, burst=5, clock=clock)
    first = asyncio.create_task(gate.enter("t", 100.0))
    for _ in range(turns):
        await asyncio.sleep(0)
    second = asyncio.create_task(gate.enter("t", 100.0))
    async with asyncio.timeout(30):
        await asyncio.gather(first, second)
    await gate.aclose()
