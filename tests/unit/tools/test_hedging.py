"""When a second request is made, how many there may be, and who wins."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literesearcher.errors import BoundaryError
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.limits.hedging import LEAST, LEAST_SECONDS, WINDOW, Pace, hedged


@given(st.lists(st.floats(0.1, 100), min_size=LEAST, max_size=3 * WINDOW))
def test_patience_is_the_95th_percentile_of_the_last_answers(seconds):
    pace = Pace()
    for one in seconds:
        pace.answered(one)
    last = seconds[-WINDOW:]
    within = sum(one <= pace.patience() for one in last)
    below = sum(one < pace.patience() for one in last)
    assert within >= 0.95 * len(last) > below


def test_nothing_that_ends_in_no_time_is_asked_twice():
    pace = Pace()
    for _ in range(WINDOW):
        pace.answered(0.003)
    assert pace.patience() == LEAST_SECONDS


def test_a_few_answers_say_nothing():
    pace = Pace()
    for _ in range(LEAST - 1):
        pace.answered(1.0)
    assert pace.patience() is None


def test_at_most_one_request_in_ten_is_hedged_and_a_quiet_time_saves_up_few():
    pace = Pace()
    assert not pace.may_hedge()
    granted = 0
    for _ in range(1000):
        pace.begun()
        granted += pace.may_hedge()
    assert 95 <= granted <= 100
    for _ in range(1000):
        pace.begun()
    assert sum(pace.may_hedge() for _ in range(100)) == 5


class Race:
    """Two requests that end when told, and what became of them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.loop = asyncio.get_running_loop()
        self.ends = {"first": self.loop.create_future(), "second": self.loop.create_future()}
        self.log: list[str] = []
        self.task = asyncio.create_task(
            hedged(
                lambda: self.run("first"),
                lambda: self.run("second"),
                after_seconds=2.0,
                may_hedge=lambda: self.may,
                clock=self.clock,
            )
        )
        self.may = True

    async def run(self, name: str) -> str:
        self.log.append(f"{name} began")
        try:
            return await self.ends[name]
        except asyncio.CancelledError:
            self.log.append(f"{name} cancelled")
            raise


@pytest.fixture
async def race():
    race = Race()
    await race.clock.advance(0)
    return race


async def test_no_second_request_before_its_time(race: Race):
    await race.clock.advance(1.9)
    race.ends["first"].set_result("page")
    assert await race.task == ("page", "first")
    assert race.log == ["first began"]
    assert race.clock.sleeping == 0


async def test_no_second_request_where_there_may_be_none(race: Race):
    race.may = False
    await race.clock.advance(100)
    race.ends["first"].set_result("page")
    assert await race.task == ("page", "first")
    assert race.log == ["first began"]


@pytest.mark.parametrize(("winner", "loser"), [("first", "second"), ("second", "first")])
async def test_the_first_success_wins_and_the_loser_has_ended_by_then(race: Race, winner, loser):
    await race.clock.advance(2)
    race.ends[winner].set_result("page")
    assert await race.task == ("page", winner)
    assert race.log == ["first began", "second began", f"{loser} cancelled"]


@pytest.mark.parametrize(("fails", "succeeds"), [("first", "second"), ("second", "first")])
async def test_a_failure_waits_for_the_other(race: Race, fails, succeeds):
    await race.clock.advance(2)
    race.ends[fails].set_exception(BoundaryError("no", code=fails))
    await race.clock.advance(0)
    assert not race.task.done()
    race.ends[succeeds].set_result("page")
    assert await race.task == ("page", succeeds)


async def test_where_both_fail_the_first_ones_failure_counts(race: Race):
    await race.clock.advance(2)
    race.ends["second"].set_exception(BoundaryError("no", code="second"))
    race.ends["first"].set_exception(BoundaryError("no", code="first"))
    with pytest.raises(BoundaryError) as caught:
        await race.task
    assert caught.value.code == "first"


@pytest.mark.parametrize("after", [0, 2])
async def test_whoever_is_cancelled_takes_both_along(race: Race, after):
    await race.clock.advance(after)
    race.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await race.task
    assert [line for line in race.log if "cancelled" in line] == [
        line.replace("began", "cancelled") for line in race.log if "began" in line
    ]
    assert race.clock.sleeping == 0
