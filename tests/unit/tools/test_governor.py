"""What one request passes on its way to a provider, and what its end means for the next ones."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.timing.retry import RetryPolicy
from literesearcher.tools.governor import Governor, Rules, Tally
from literesearcher.tools.limits.lanes import Limit
from literesearcher.tools.perimeter.guard import RefusedTarget
from literesearcher.tools.providers.port import FetchedPage, SearchAnswer, SiteRefused

PRICE = 0.001
WIDE = Limit(1000.0, 1000, 1000)


class Provider:
    """Its requests are acted out by `act`, which may wait; all that are under way can be counted."""

    private = False
    cache_key = ""

    def __init__(self, id: str = "serper", tries: int = 1) -> None:
        self.id = id
        self.policy = RetryPolicy(tries=tries, first_seconds=1.0, jitter=0.0)
        self.act: Callable[[int], object] = lambda number: "answer"
        self.asked = self.under_way = self.most = 0
        self.given: list[float] = []

    async def once(self, seconds: float) -> object:
        self.asked += 1
        self.given.append(seconds)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            acted = self.act(self.asked)
            if asyncio.iscoroutine(acted) or isinstance(acted, asyncio.Future):
                acted = await acted
            if isinstance(acted, Exception):
                raise acted
            return acted
        finally:
            self.under_way -= 1


class Office:
    """A governor with one provider before it."""

    def __init__(self, limit: Limit = WIDE, *, site: Limit | None = None, tries: int = 1, **rules) -> None:
        self.clock = ManualClock()
        self.metrics = ToolMetrics()
        self.provider = Provider(tries=tries)
        self.limit, self.site, self.rules = limit, site, rules
        providers = {"serper": limit, "jina": WIDE}
        self.governor = Governor(
            clock=self.clock,
            metrics=self.metrics,
            prices={"serper": PRICE},
            rules=Rules(providers, site, **{"hedge": False, **rules}),
        )
        self.tally = Tally()

    def ask(
        self, provider: Provider | None = None, *, tenant: str = "a", timeout: float = 100.0, host: str = ""
    ) -> asyncio.Task[object]:
        provider = provider or self.provider
        return asyncio.create_task(
            self.governor.call(
                provider, provider.once, tenant_id=tenant, timeout_seconds=timeout, tally=self.tally, host=host
            )
        )

    @property
    def outcomes(self) -> list[str]:
        return [one.outcome for one in self.tally.tries]

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"literesearcher_tools_{name}", labels) or 0.0

    async def rests(self) -> None:
        """Nothing is taken and nobody waits: as many as may go at once can."""
        for gate in self.governor._gates.values():
            assert gate.lane._slots.idle
            assert not gate.lane.rate._line
        for lane in self.governor._lanes._sites.values():
            assert lane._slots.idle
            assert not lane.rate._line


def failing(code: str = "provider_error", **how) -> BoundaryError:
    return BoundaryError("no", code=code, **how)


async def code_of(task: asyncio.Task[object]) -> str:
    with pytest.raises((BoundaryError, RefusedTarget)) as caught:
        await task
    return caught.value.code


# Costs and the tally


@pytest.mark.parametrize(
    ("end", "outcome", "cost"),
    [
        ("answer", "ok", PRICE),
        (SearchAnswer("serper", ()), "empty", PRICE),
        (FetchedPage("jina", ""), "empty", PRICE),
        (failing("provider_timeout"), "provider_timeout", PRICE),
        (failing("provider_garbage"), "provider_garbage", PRICE),
        (failing("page_unreadable"), "page_unreadable", PRICE),
        (failing("provider_busy"), "provider_busy", 0.0),
        (failing("provider_quota"), "provider_quota", 0.0),
        (failing("provider_rejected"), "provider_rejected", 0.0),
        (RefusedTarget("no"), "refused", 0.0),
    ],
)
async def test_each_request_is_noted_with_what_it_cost(end, outcome, cost):
    office = Office()
    office.provider.act = lambda number: office.clock.sleep(2) if number < 0 else end
    await asyncio.wait([office.ask()])
    assert (office.outcomes, office.tally.cost_usd) == ([outcome], cost)
    assert office.metric("provider_requests_total", provider="serper", outcome=outcome) == 1
    assert office.metric("provider_cost_usd_total", provider="serper") == cost
    assert office.metric("provider_seconds_count", provider="serper") == 1


async def test_what_was_sent_and_cancelled_may_be_charged_and_what_never_went_out_is_not():
    office = Office(Limit(1.0, 1, 1))
    office.provider.act = lambda number: office.clock.sleep(1000)
    sent, waiting = office.ask(), office.ask()
    await office.clock.advance(3)
    sent.cancel()
    waiting.cancel()
    await asyncio.wait([sent, waiting])
    assert office.provider.asked == 1
    assert [(one.outcome, one.elapsed_seconds, one.cost_usd) for one in office.tally.tries] == [
        ("cancelled", 3.0, PRICE)
    ]
    await office.rests()


async def test_every_try_counts():
    office = Office(tries=3)
    office.provider.act = lambda number: failing(transient=True) if number < 3 else "answer"
    task = office.ask()
    await office.clock.advance(10)
    assert await task == "answer"
    assert office.outcomes == ["provider_error", "provider_error", "ok"]
    assert office.tally.cost_usd == PRICE
    assert office.provider.given == [100.0, 99.0, 97.0], "each has what is left till the deadline"


async def test_without_a_limit_nothing_stands_in_the_way():
    office = Office(breaker_failures=1)
    local = Provider("local")
    local.act = lambda number: failing("provider_unreachable", transient=True)
    for _ in range(50):
        assert await code_of(office.ask(local, host="a.example")) == "provider_unreachable"
    assert local.asked == 50


# Rates, caps, fairness


async def test_no_more_than_the_rate_and_no_more_at_once_than_the_cap():
    office = Office(Limit(10.0, 5, 3))
    office.provider.act = lambda number: office.clock.sleep(0.05)
    tasks = [office.ask() for _ in range(25)]
    await office.clock.advance(1)
    assert office.provider.asked <= 15
    assert office.provider.most == 3
    await office.clock.advance(2)
    assert await asyncio.gather(*tasks) == [None] * 25
    assert office.metric("provider_wait_seconds_count", provider="serper", reason="rate") == 20
    assert office.metric("provider_wait_seconds_count", provider="serper", reason="concurrency") > 0
    await office.rests()


async def test_one_tenants_thousand_do_not_starve_another():
    office = Office(Limit(10.0, 1, 2))
    office.provider.act = lambda number: office.clock.sleep(0.1)
    crowd = [office.ask(tenant="crowd", timeout=1000) for _ in range(1000)]
    await office.clock.advance(0)
    few = [office.ask(tenant="b", timeout=1000) for _ in range(5)]
    await office.clock.advance(1.5)
    assert all(task.done() for task in few), "half the rate is theirs"
    assert sum(task.done() for task in crowd) >= 5, "and the other half is not"
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    await office.rests()


async def test_a_wait_past_the_deadline_fails_at_once_and_is_not_tried_again():
    office = Office(Limit(0.1, 1, 10), tries=5)
    await office.ask()
    task = office.ask(timeout=9.0)
    await office.clock.advance(0)
    assert await code_of(task) == "provider_busy"
    assert office.clock.monotonic() == 0.0
    assert (office.outcomes, office.tally.cost_usd) == (["ok", "provider_busy"], PRICE)


async def test_a_slow_site_holds_up_nobody_else():
    office = Office(Limit(1000.0, 1000, 4), site=Limit(2.0, 2, 1))
    office.provider.act = lambda number: office.clock.sleep(50) if number == 1 else "answer"
    slow = [office.ask(host="slow.example") for _ in range(20)]
    await office.clock.advance(0)
    others = [office.ask(host=f"h{number}.example") for number in range(20)]
    await office.clock.advance(0)
    assert await asyncio.gather(*others) == ["answer"] * 20
    assert office.provider.under_way == 1
    assert not any(task.done() for task in slow)
    await office.clock.advance(60)
    assert all(task.done() for task in slow)
    await office.rests()


async def test_one_tenants_slow_pages_leave_a_place_of_a_reader_to_others():
    office = Office(Limit(1000.0, 1000, 5), site=Limit(1000.0, 1000, 8))
    assert await office.ask(tenant="b", host="good.example") == "answer"
    office.provider.act = lambda number: office.clock.sleep(45) if number <= 5 else "answer"
    slow = [office.ask(tenant="a", host="tarpit.example", timeout=300) for _ in range(8)]
    await office.clock.advance(0)
    assert office.provider.under_way == 4
    office.provider.act = lambda number: "answer"
    assert await office.ask(tenant="b", host="good.example", timeout=10) == "answer"
    assert office.clock.monotonic() == 0.0
    await office.clock.advance(100)
    await asyncio.gather(*slow)
    await office.rests()


async def test_a_site_is_asked_no_faster_whichever_provider_asks_and_however_it_is_spelled():
    office = Office(site=Limit(1.0, 1, 8))
    jina = Provider("jina")
    spellings = ["a.example", "A.Example", "www.a.example."]
    tasks = [
        office.ask(provider, host=spellings[number % 3]) for number in range(6) for provider in (office.provider, jina)
    ]
    await office.clock.advance(5)
    assert office.provider.asked + jina.asked == 6
    assert office.metric("provider_wait_seconds_count", provider="jina", reason="site_rate") > 0
    await office.clock.advance(7)
    await asyncio.gather(*tasks)


async def test_sites_that_rest_are_forgotten(monkeypatch):
    monkeypatch.setattr("literesearcher.tools.limits.lanes.MOST_SITES", 100)
    office = Office(site=Limit(5.0, 5, 2))
    busy = asyncio.get_running_loop().create_future()
    office.provider.act = lambda number: busy if number == 1 else "answer"
    holding = office.ask(host="busy.example")
    await office.clock.advance(0)
    for number in range(1000):
        await office.clock.advance(0.3)
        assert await office.ask(host=f"h{number}.example") == "answer"
    assert len(office.governor._lanes._sites) <= 101
    assert "busy.example" in office.governor._lanes._sites
    busy.set_result("answer")
    await holding
    await office.rests()


# Retry-After


async def test_a_storm_of_429_reaches_the_provider_only_once_a_pause():
    office = Office(Limit(100.0, 100, 4), tries=5)

    async def act() -> object:
        began = office.clock.monotonic()
        await office.clock.sleep(0.02)
        return failing("provider_busy", transient=True, retry_after=10.0) if began < 10 else "answer"

    office.provider.act = lambda number: act()
    tasks = [office.ask(tenant=str(number % 7)) for number in range(500)]
    await office.clock.advance(9.9)
    assert office.provider.asked == 4, "those that were out when it said so"
    await office.clock.advance(0.22)
    assert 4 < office.provider.asked <= 16, "and no burst after it"
    await office.clock.advance(20)
    assert await asyncio.gather(*tasks) == ["answer"] * 500
    assert office.provider.asked == 504
    assert office.metric("provider_wait_seconds_count", provider="serper", reason="retry_after") > 0
    await office.rests()


async def test_who_waited_in_vain_is_counted_as_who_got_through():
    """Whether providers would take more, scaling reads of the waits."""
    office = Office(Limit(0.1, 1, 10))
    gate = asyncio.get_running_loop().create_future()
    office.provider.act = lambda number: gate
    first = office.ask()
    await office.clock.advance(0)
    waiting = office.ask()
    await office.clock.advance(3)
    gate.set_result(failing("provider_busy", transient=True, retry_after=200.0))
    assert await code_of(first) == "provider_busy"
    assert await code_of(waiting) == "provider_busy"
    assert office.provider.asked == 1
    assert office.metric("provider_wait_seconds_sum", provider="serper", reason="rate") == 3.0
    await office.rests()


async def test_a_pause_past_the_deadline_fails_at_once_for_all_who_cannot_wait():
    office = Office(tries=5)
    gate = asyncio.get_running_loop().create_future()
    office.provider.act = lambda number: gate
    first = office.ask()
    await office.clock.advance(0)
    gate.set_result(failing("provider_busy", transient=True, retry_after=200.0))
    assert await code_of(first) == "provider_busy"
    assert await code_of(office.ask()) == "provider_busy"
    assert office.clock.monotonic() == 0.0
    assert office.provider.asked == 1
    office.provider.act = lambda number: "answer"
    patient = office.ask(timeout=300)
    await office.clock.advance(199)
    assert not patient.done()
    await office.clock.advance(1.1)
    assert await patient == "answer"


async def test_whoever_waited_for_a_slot_heeds_a_pause_that_began_meanwhile():
    office = Office(Limit(100.0, 100, 1))
    office.provider.act = lambda number: (
        failing("provider_busy", transient=True, retry_after=10.0) if number == 1 else "answer"
    )
    first, second = office.ask(), office.ask()
    await office.clock.advance(9)
    assert first.done()
    assert not second.done()
    assert office.provider.asked == 1
    await office.clock.advance(2)
    assert await second == "answer"
    assert await code_of(first) == "provider_busy"
    await office.rests()


async def test_what_a_host_asks_for_holds_for_it_and_for_the_tenant_that_was_told():
    office = Office(site=Limit(10.0, 10, 8))
    office.provider.act = lambda number: failing("page_status", retry_after=30.0) if number == 1 else "answer"
    assert await code_of(office.ask(host="a.example.com")) == "page_status"
    assert await office.ask(host="b.example.com") == "answer", "under one name, many owners"
    assert await office.ask(host="a.example.com", tenant="b") == "answer"
    later, hasty = office.ask(host="A.example.com."), office.ask(host="a.example.com", timeout=20)
    assert await code_of(hasty) == "provider_busy"
    await office.clock.advance(29)
    assert not later.done()
    await office.clock.advance(2)
    assert await later == "answer"
    assert office.metric("provider_wait_seconds_count", provider="serper", reason="retry_after") == 1
    await office.rests()


async def test_a_host_that_asks_for_long_is_not_waited_for_and_is_asked_again_after_a_minute():
    office = Office(site=Limit(10.0, 10, 8), tries=3)
    office.provider.act = lambda number: failing("page_status", retry_after=6000.0) if number == 1 else "answer"
    assert await code_of(office.ask(host="a.example")) == "page_status"
    assert await code_of(office.ask(host="a.example")) == "provider_busy"
    await office.clock.advance(59)
    assert await code_of(office.ask(host="a.example")) == "provider_busy"
    assert office.clock.monotonic() == 59.0
    await office.clock.advance(1)
    assert await office.ask(host="a.example") == "answer"
    assert office.provider.asked == 2


async def test_whoever_waited_in_line_heeds_what_the_host_said_meanwhile():
    office = Office(site=Limit(100.0, 100, 1))
    office.provider.act = lambda number: failing("page_status", retry_after=30.0) if number == 1 else "answer"
    first, second = office.ask(host="a.example"), office.ask(host="a.example")
    await office.clock.advance(29)
    assert (first.done(), second.done(), office.provider.asked) == (True, False, 1)
    await office.clock.advance(2)
    assert await second == "answer"
    assert await code_of(first) == "page_status"
    await office.rests()


async def test_a_pause_belongs_to_the_host_that_answered_not_to_the_one_that_led_there():
    office = Office(site=Limit(10.0, 10, 8))
    told = SiteRefused("no", host="evil.example.net", code="page_status", retry_after=600.0)
    office.provider.act = lambda number: told if number == 1 else "answer"
    assert await code_of(office.ask(host="doi.example.org")) == "page_status"
    assert await office.ask(host="doi.example.org") == "answer"
    assert await code_of(office.ask(host="evil.example.net", timeout=50)) == "provider_busy"
    with pytest.raises(SiteRefused) as caught:
        async with cross(office, to="evil.example.net"):
            pytest.fail("a redirect goes there as little")
    assert caught.value.code == "page_status"
    async with cross(office, to="evil.example.net", tenant="b"):
        pass


def cross(office: Office, *, to: str, tenant: str = "a", asked: str = "doi.example.org", seconds: float = 30.0):
    return office.governor.crossing("direct", tenant_id=tenant, asked=asked, host=to, seconds=seconds)


async def test_a_redirect_takes_a_token_and_a_place_of_the_site_it_leads_to():
    office = Office(site=Limit(0.1, 2, 1))

    async def passes(seconds: float = 30.0) -> None:
        async with cross(office, to="victim.example", seconds=seconds):
            await office.clock.sleep(1)

    first, second = asyncio.create_task(passes()), asyncio.create_task(passes())
    await office.clock.advance(1)
    assert (first.done(), second.done()) == (True, False), "one at a time"
    await office.clock.advance(1)
    assert second.done()
    assert await code_of(asyncio.create_task(passes(seconds=5.0))) == "page_timeout", "no token in time"
    assert await code_of(office.ask(host="victim.example", timeout=5)) == "provider_busy"
    assert await office.ask(host="other.example") == "answer", "and the provider is as it was"
    await office.rests()


async def test_a_redirect_within_a_site_takes_nothing_more():
    office = Office(site=Limit(0.001, 1, 1))
    assert await office.ask(host="doi.example.org") == "answer"
    async with cross(office, to="www.example.org"), cross(office, to="doi.example.org"):
        pass
    await office.rests()


# The breaker


async def test_an_open_breaker_fails_at_once_also_those_who_wait():
    office = Office(Limit(1.0, 3, 10), breaker_failures=3)
    office.provider.act = lambda number: failing("provider_unreachable", transient=True)
    tasks = [office.ask() for _ in range(10)]
    await office.clock.advance(0)
    assert sorted([await code_of(task) for task in tasks]) == ["provider_open"] * 7 + ["provider_unreachable"] * 3
    assert office.provider.asked == 3
    assert office.metric("breaker_open", provider="serper") == 1
    await office.clock.advance(20)
    office.provider.act = lambda number: "answer"
    assert await office.ask() == "answer"
    assert office.metric("breaker_open", provider="serper") == 0
    await office.rests()


async def test_those_who_wait_for_a_slot_of_a_dead_provider_do_not_each_try_it():
    office = Office(Limit(100.0, 100, 2), breaker_failures=2)
    gates = [asyncio.get_running_loop().create_future() for _ in range(2)]
    office.provider.act = lambda number: gates[number - 1]
    tasks = [office.ask() for _ in range(50)]
    await office.clock.advance(0)
    for gate in gates:
        gate.set_result(failing("provider_timeout", transient=True))
    codes = sorted([await code_of(task) for task in tasks])
    assert codes == ["provider_open"] * 48 + ["provider_timeout"] * 2
    await office.rests()


async def test_after_its_time_one_probe_goes_out():
    office = Office(breaker_failures=1)
    office.provider.act = lambda number: failing("provider_error")
    assert await code_of(office.ask()) == "provider_error"
    await office.clock.advance(20)
    gate = asyncio.get_running_loop().create_future()
    office.provider.act = lambda number: gate
    tasks = [office.ask() for _ in range(10)]
    await office.clock.advance(0)
    assert office.provider.asked == 2
    gate.set_result("answer")
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert ends.count("answer") == 1
    assert office.provider.asked == 2
    assert await office.ask() == "answer"


async def test_a_cancelled_probe_does_not_shut_the_provider_out_for_ever():
    office = Office(breaker_failures=1)
    office.provider.act = lambda number: failing("provider_error")
    await asyncio.wait([office.ask()])
    await office.clock.advance(20)
    office.provider.act = lambda number: office.clock.sleep(50)
    probe = office.ask()
    await office.clock.advance(0)
    probe.cancel()
    await asyncio.wait([probe])
    office.provider.act = lambda number: "answer"
    assert await office.ask() == "answer"


async def test_a_spent_quota_is_neither_tried_again_nor_asked_again():
    office = Office(tries=5)
    office.provider.act = lambda number: failing("provider_quota")
    for _ in range(5):
        assert await code_of(office.ask()) == "provider_quota"
    assert office.provider.asked == 1
    assert office.tally.cost_usd == 0.0


async def test_failures_of_pages_sites_leave_the_provider_alone():
    office = Office(breaker_failures=2)
    office.provider.act = lambda number: failing("page_status", transient=True)
    for number in range(20):
        assert await code_of(office.ask(host=f"h{number}.example")) == "page_status"
    assert office.provider.asked == 20


async def test_one_tenants_bad_urls_shut_a_reader_to_nobody_else():
    office = Office(Limit(1000.0, 1000, 1), breaker_failures=4)
    office.provider.act = lambda number: failing("provider_error")
    bad = [office.ask(tenant="a", host=f"bad{number}.example") for number in range(12)]
    await office.clock.advance(0)
    assert [await code_of(task) for task in bad] == ["provider_error"] * 4 + ["provider_open"] * 8
    office.provider.act = lambda number: "answer"
    assert await office.ask(tenant="b", host="good.example") == "answer"
    assert await office.ask(tenant="a", host="good.example") == "answer", "it is well"
    await office.rests()


async def test_a_tenant_that_is_shut_out_takes_nobody_out_of_the_line_with_it():
    office = Office(Limit(1.0, 4, 100), breaker_failures=4)
    office.provider.act = lambda number: failing("provider_error") if number <= 4 else "answer"
    bad = [office.ask(tenant="a", host=f"bad{number}.example") for number in range(8)]
    other = office.ask(tenant="b", host="good.example")
    await office.clock.advance(0)
    assert sorted([await code_of(task) for task in bad]) == ["provider_error"] * 4 + ["provider_open"] * 4
    await office.clock.advance(1)
    assert await other == "answer"


# Hedges


async def paced(office: Office, requests: int = 30) -> None:
    """So many answers of a second each."""
    office.provider.act = lambda number: office.clock.sleep(1)
    for _ in range(requests):
        task = office.ask()
        await office.clock.advance(1)
        await task
    office.tally.tries.clear()
    office.provider.asked = 0


async def test_a_slow_request_gets_a_second_one_and_both_cost():
    office = Office(hedge=True)
    await paced(office)
    stuck = asyncio.get_running_loop().create_future()
    office.provider.act = lambda number: stuck if number == 1 else "answer"
    task = office.ask()
    await office.clock.advance(0.9)
    assert office.provider.asked == 1
    await office.clock.advance(0.2)
    assert await task == "answer"
    assert sorted(office.outcomes) == ["cancelled", "ok"]
    assert office.tally.cost_usd == 2 * PRICE
    assert office.metric("hedges_total", provider="serper", result="won") == 1
    await office.rests()


async def test_a_second_request_that_comes_later_is_cancelled():
    office = Office(hedge=True)
    await paced(office)
    gates = [asyncio.get_running_loop().create_future() for _ in range(2)]
    office.provider.act = lambda number: gates[number - 1]
    task = office.ask()
    await office.clock.advance(1.1)
    assert office.provider.asked == 2
    gates[0].set_result("answer")
    assert await task == "answer"
    assert gates[1].cancelled()
    assert office.metric("hedges_total", provider="serper", result="lost") == 1
    await office.rests()


async def test_at_most_one_in_ten_gets_a_second_request_when_all_are_slow():
    office = Office(hedge=True)
    await paced(office)
    office.provider.act = lambda number: office.clock.sleep(30)
    tasks = [office.ask() for _ in range(200)]
    await office.clock.advance(60)
    await asyncio.gather(*tasks)
    assert 200 < office.provider.asked <= 200 + 20 + 5


@pytest.mark.parametrize("limit", [Limit(1000.0, 1000, 1), Limit(1.0, 1, 10)], ids=["no slot", "no token"])
async def test_a_second_request_takes_nobodys_place(limit):
    office = Office(limit, hedge=True)
    await paced(office)
    await office.clock.advance(10)
    stuck = asyncio.get_running_loop().create_future()
    office.provider.act = lambda number: stuck
    office.ask()
    others = [office.ask() for _ in range(3)] if limit.concurrency > 1 else []
    await office.clock.advance(1.5)
    assert office.provider.asked == 1 + (1 if others else 0), "the others in line come first"
    stuck.set_result("answer")
    await office.clock.advance(10)
    assert office.metric("hedges_total", provider="serper", result="lost") == 0
    await office.rests()


async def test_the_slot_of_a_second_request_counts():
    office = Office(Limit(1000.0, 1000, 2), hedge=True)
    await paced(office)
    office.provider.most = 0
    stuck = asyncio.get_running_loop().create_future()
    office.provider.act = lambda number: stuck
    tasks = [office.ask() for _ in range(5)]
    await office.clock.advance(5)
    assert office.provider.most == 2
    stuck.set_result("answer")
    await asyncio.gather(*tasks)
    await office.rests()


async def test_no_hedges_where_they_are_turned_off():
    office = Office(hedge=False)
    await paced(office)
    office.provider.act = lambda number: office.clock.sleep(50)
    task = office.ask()
    await office.clock.advance(50)
    await task
    assert office.provider.asked == 1


# Whatever happens


@pytest.mark.parametrize("seed", range(15))
async def test_cancelled_at_any_stage_nothing_stays_taken(seed):
    chance = random.Random(seed)
    office = Office(Limit(20.0, 5, 3), site=Limit(10.0, 3, 2), tries=2, hedge=True, breaker_failures=6)
    await paced(office, 25)

    async def act() -> object:
        await office.clock.sleep(chance.choice([0, 0.2, 1, 4]))
        return chance.choice(
            [
                "answer",
                "answer",
                failing("provider_error", transient=True),
                failing("provider_busy", transient=True, retry_after=2.0),
                failing("page_status", retry_after=1.0),
                RefusedTarget("no"),
                ValueError("a bug"),
            ]
        )

    office.provider.act = lambda number: act()
    tasks = []
    for _ in range(60):
        tasks.append(
            office.ask(
                tenant=chance.choice("abc"),
                timeout=chance.choice([1, 5, 60]),
                host=chance.choice(["", "x.example", "y.example"]),
            )
        )
        await office.clock.advance(chance.choice([0, 0.05, 0.3]))
        if chance.random() < 0.4:
            chance.choice(tasks).cancel()
    await office.clock.advance(100)
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert len(ends) == 60
    assert all(task.done() for task in tasks)
    assert office.provider.under_way == 0
    assert office.provider.most <= 3
    assert office.clock.sleeping == 0
    await office.rests()
    office.provider.act = lambda number: "answer"
    await office.clock.advance(100)
    assert await office.ask(host="x.example") == "answer"


async def test_whoever_waits_when_the_tools_are_closed_is_told():
    office = Office(Limit(1.0, 1, 1), site=Limit(1.0, 1, 1))
    office.provider.act = lambda number: office.clock.sleep(50)
    out = office.ask(host="a.example")
    waiting = [office.ask(host="a.example"), office.ask(host="b.example"), office.ask()]
    await office.clock.advance(0)
    await office.governor.aclose()
    await office.governor.aclose()
    assert {await code_of(task) for task in waiting} == {"tools_closed"}
    await office.clock.advance(50)
    await out
