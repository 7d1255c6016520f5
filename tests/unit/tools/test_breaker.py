"""When a provider's breaker opens and closes, and whose failure counts."""

from __future__ import annotations

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.limits.breaker import Breaker, Verdict, verdict


class Watched:
    def __init__(self, failures: int = 3, seconds: float = 20.0) -> None:
        self.clock = ManualClock()
        self.shown: list[bool] = []
        self.breaker = Breaker("serper", failures=failures, seconds=seconds, clock=self.clock, shown=self.shown.append)

    def ends(self, *found: Verdict, retry_after: float | None = None) -> None:
        for one in found:
            self.breaker.report(self.breaker.admit(), one, retry_after)

    @property
    def code(self) -> str | None:
        refusal = self.breaker.refusal()
        assert refusal is None or not refusal.transient, "the next provider is asked instead"
        return refusal and refusal.code


DOWN, ALIVE = Verdict.DOWN, Verdict.ALIVE


def test_failures_in_a_row_open_it_and_an_answer_between_them_starts_the_count_anew():
    watched = Watched()
    watched.ends(DOWN, DOWN, ALIVE, DOWN, DOWN, Verdict.UNKNOWN)
    assert watched.code is None
    watched.ends(DOWN)
    assert (watched.code, watched.shown) == ("provider_open", [True])
    with pytest.raises(BoundaryError):
        watched.breaker.admit()


async def test_one_request_may_try_and_its_end_decides():
    watched = Watched()
    watched.ends(DOWN, DOWN, DOWN)
    await watched.clock.advance(20)
    probe = watched.breaker.admit()
    assert watched.code == "provider_open", "one at a time"
    watched.breaker.report(probe, DOWN)
    await watched.clock.advance(19)
    assert watched.code == "provider_open"
    await watched.clock.advance(1)
    watched.breaker.report(watched.breaker.admit(), ALIVE)
    assert (watched.code, watched.shown) == (None, [True, True, False])
    watched.ends(DOWN, DOWN)
    assert watched.code is None, "it counts from the start"


async def test_a_probe_that_was_cancelled_leaves_the_place_to_another():
    watched = Watched()
    watched.ends(DOWN, DOWN, DOWN)
    await watched.clock.advance(20)
    watched.breaker.report(watched.breaker.admit(), Verdict.UNKNOWN)
    assert watched.code is None
    watched.ends(ALIVE)
    assert watched.shown == [True, False]


async def test_what_was_asked_before_it_opened_says_nothing_about_it_any_more():
    watched = Watched()
    early = [watched.breaker.admit() for _ in range(5)]
    for ticket in early[:3]:
        watched.breaker.report(ticket, DOWN)
    watched.breaker.report(early[3], ALIVE)
    assert watched.code == "provider_open"
    await watched.clock.advance(20)
    probe = watched.breaker.admit()
    watched.breaker.report(early[4], ALIVE)
    assert watched.code == "provider_open"
    watched.breaker.report(probe, ALIVE)
    assert watched.code is None


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 60.0), (5.0, 60.0), (600.0, 600.0), (1e9, 3600.0)])
async def test_a_spent_quota_opens_it_at_once_for_longer_under_its_own_name(retry_after, seconds):
    watched = Watched()
    watched.ends(Verdict.SPENT, retry_after=retry_after)
    await watched.clock.advance(seconds - 1)
    assert watched.code == "provider_quota"
    await watched.clock.advance(1)
    watched.ends(DOWN)
    assert watched.code == "provider_open"


async def test_refused_keys_in_a_row_open_it_for_longer():
    watched = Watched()
    watched.ends(Verdict.REFUSED, Verdict.REFUSED)
    assert watched.code is None, "one page that a reader may not read says nothing about the key"
    watched.ends(Verdict.REFUSED)
    assert watched.code == "provider_unauthorized"
    await watched.clock.advance(59)
    assert watched.code == "provider_unauthorized"
    await watched.clock.advance(1)
    assert watched.code is None


@pytest.mark.parametrize(
    ("code", "how", "found"),
    [
        ("provider_unreachable", {"transient": True}, DOWN),
        ("provider_error", {}, DOWN),
        ("provider_garbage", {"transient": True}, DOWN),
        ("provider_timeout", {}, DOWN),
        ("provider_busy", {"transient": True}, DOWN),
        ("provider_busy", {"transient": True, "retry_after": 3.0}, ALIVE),
        ("provider_overloaded", {"transient": True}, DOWN),
        ("provider_rejected", {}, ALIVE),
        ("provider_too_large", {}, ALIVE),
        ("provider_quota", {}, Verdict.SPENT),
        ("provider_unauthorized", {}, Verdict.REFUSED),
        ("page_status", {"transient": True}, ALIVE),
        ("page_timeout", {"transient": True}, ALIVE),
        ("page_unreachable", {}, ALIVE),
    ],
)
def test_whose_failure_it_is(code, how, found):
    assert verdict(BoundaryError("no", code=code, **how), 30.0) is found


def test_a_time_out_of_a_caller_in_a_hurry_is_not_the_providers():
    assert verdict(BoundaryError("no", code="provider_timeout", transient=True), 0.5) is Verdict.UNKNOWN
