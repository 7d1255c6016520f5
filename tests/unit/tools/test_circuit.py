"""For whom failures shut a provider: a reader's may be the target's fault, a search engine's are its own."""

from __future__ import annotations

import pytest

from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.limits.breaker import Origin, Verdict
from literesearcher.tools.limits.circuit import Circuit, Opened

DOWN, ALIVE, SPENT, REFUSED = Verdict.DOWN, Verdict.ALIVE, Verdict.SPENT, Verdict.REFUSED


class Watched:
    """A circuit that takes eight failures and stays open for 20 seconds."""

    def __init__(self, failures: int = 8) -> None:
        self.clock = ManualClock()
        self.shown = False
        self.circuit = Circuit("jina", failures=failures, seconds=20.0, clock=self.clock, shown=self.show)

    def show(self, is_open: bool) -> None:
        self.shown = is_open

    def ends(self, tenant: str, found: Verdict = DOWN, *, times: int = 1, sites: int = 100, site: str = "s") -> Opened:
        """So many requests in turn, spread over so many sites."""
        last = Opened.NOBODY
        for number in range(times):
            ticket = self.circuit.admit(Origin(tenant, f"{site}{number % sites}.example"))
            last = self.circuit.report(ticket, found)
        return last

    def shut_to(self, *tenants: str) -> list[bool]:
        return [self.circuit.refusal(tenant) is not None for tenant in tenants]


def test_one_tenants_failures_shut_a_reader_to_that_tenant_alone():
    watched = Watched()
    assert watched.ends("a", times=7) is Opened.NOBODY
    assert watched.ends("a") is Opened.TENANT
    assert watched.shut_to("a", "b") == [True, False]
    assert watched.shown


def test_failures_of_few_sites_shut_it_to_nobody():
    watched = Watched()
    assert watched.ends("a", times=50, sites=2) is Opened.NOBODY
    assert watched.ends("b", times=50, sites=2) is Opened.NOBODY
    assert watched.ends("b", site="another") is Opened.ALL


def test_what_two_tenants_meet_shuts_it_to_all():
    watched = Watched()
    watched.ends("a", times=8)
    assert watched.ends("b", times=3) is Opened.NOBODY, "a few bad URLs of another prove nothing"
    assert watched.ends("b") is Opened.ALL
    assert watched.shut_to("a", "b", "c") == [True, True, True]


def test_many_tenants_with_a_failure_each_shut_it_to_all():
    watched = Watched()
    found = [watched.ends(f"t{number}", site=f"s{number}") for number in range(8)]
    assert found == [Opened.NOBODY] * 7 + [Opened.ALL]


@pytest.mark.parametrize("found", [ALIVE, Verdict.UNKNOWN])
def test_an_answer_to_anybody_starts_the_count_anew_and_what_says_nothing_does_not(found):
    watched = Watched()
    watched.ends("a", times=8)
    watched.ends("b", times=3)
    watched.ends("c", found)
    assert watched.shut_to("a") == [found is not ALIVE]
    assert watched.shown is (found is not ALIVE)
    assert watched.ends("b") is (Opened.NOBODY if found is ALIVE else Opened.ALL)


def test_a_searchs_failures_are_the_engines_whoever_asked():
    watched = Watched()
    for number in range(8):
        found = watched.circuit.report(watched.circuit.admit(Origin("a")), DOWN)
        assert found is (Opened.ALL if number == 7 else Opened.NOBODY)
    assert watched.shut_to("a", "b") == [True, True]


@pytest.mark.parametrize(("found", "code"), [(SPENT, "provider_quota"), (REFUSED, "provider_unauthorized")])
def test_a_site_that_makes_a_reader_say_that_money_or_key_is_missing_shuts_nobody_else_out(found, code):
    watched = Watched()
    times = 1 if found is SPENT else 8
    assert watched.ends("a", found, times=times) is Opened.TENANT
    refusal = watched.circuit.refusal("a")
    assert refusal is not None
    assert refusal.code == code
    assert watched.shut_to("b") == [False]
    assert watched.ends("b", found, times=1 if found is SPENT else 4) is Opened.ALL
    assert watched.shut_to("c") == [True]


async def test_whoever_tried_in_vain_is_not_the_next_to_try():
    watched = Watched()
    watched.ends("a", times=4)
    assert watched.ends("b", times=4) is Opened.ALL
    await watched.clock.advance(20)
    assert watched.ends("a") is Opened.ALL, "the one that may try fails"
    await watched.clock.advance(20)
    assert watched.shut_to("a", "b") == [True, False]
    watched.ends("b", ALIVE)
    assert watched.shut_to("a", "b") == [False, False]
    assert not watched.shown


async def test_a_tenant_that_was_shut_out_alone_tries_once_and_is_let_in_or_not():
    watched = Watched()
    watched.ends("a", times=8)
    await watched.clock.advance(20)
    probe = watched.circuit.admit(Origin("a", "s.example"))
    assert watched.shut_to("a", "b") == [True, False], "one at a time"
    assert watched.circuit.report(probe, DOWN) is Opened.TENANT
    await watched.clock.advance(20)
    watched.ends("a", ALIVE)
    assert watched.shut_to("a") == [False]
    assert not watched.shown


def test_what_a_tenant_sent_before_it_was_shut_out_says_nothing_any_more():
    watched = Watched()
    tickets = [watched.circuit.admit(Origin("a", f"s{number}.example")) for number in range(12)]
    found = [watched.circuit.report(ticket, DOWN) for ticket in tickets]
    assert found == [Opened.NOBODY] * 7 + [Opened.TENANT] + [Opened.NOBODY] * 4


def test_a_thousand_tenants_are_not_all_remembered():
    watched = Watched()
    for number in range(3000):
        watched.ends(f"t{number}", sites=1)
    assert len(watched.circuit._own) <= 1024
