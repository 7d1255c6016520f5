"""What replicas say and what callers make of it: plain values, nonsense, staleness, their own calls on top."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram

from literesearcher.cluster.configuration import serve_configuration
from literesearcher.cluster.routing.hint import hint_of, session_of
from literesearcher.cluster.routing.policy import Parameters, Turn, route
from literesearcher.cluster.routing.stats import Reporter, agreed, metadata, read, read_parameters, weight_of
from literesearcher.cluster.routing.view import STALE_SECONDS, ReplicasView
from literesearcher.engine.load import EngineLoad
from literesearcher.engine.port import GenerationRequest
from literesearcher.errors import ConfigurationError
from literesearcher.research.messages import Message, Sampling
from literesearcher.settings.load import load_settings
from literesearcher.telemetry.router_metrics import Declared, RouterMetrics
from literesearcher.testing.manual_clock import ManualClock

LOAD = EngineLoad(kv_capacity=1_000, kv_used=10, prefill_per_second=50.0)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_a_report_comes_through_as_it_was_made():
    reporter = Reporter()
    reporter.configure({"full": 0.8, "options": 5})
    reporter.leaving = 0.25
    first, second = (read(json.loads(json.dumps(reporter.report(LOAD)))) for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first.load, first.leaving, first.parameters) == (LOAD, 0.25, Parameters(full=0.8, options=5))
    assert second.sequence > first.sequence
    assert weight_of(metadata(1_000)) == 1_000
    assert read(Reporter().report(None)).load == EngineLoad(kv_capacity=0)


@given(
    st.dictionaries(st.sampled_from(["load", "leaving", "sequence", "parameters", "x"]), anything, max_size=5),
    st.dictionaries(st.sampled_from(["kv_capacity", "kv_used", "running", "x"]), anything, max_size=4),
)
@settings(deadline=None)
def test_nonsense_of_a_replica_is_silence(stats, load):
    for said in (stats, {**Reporter().report(LOAD), "load": load}, {**Reporter().report(LOAD), **stats}):
        heard = read(said)
        assert heard is None or heard.load.kv_capacity >= 0
    weight = weight_of({"kv_tokens": stats.get("x")})
    assert weight is None or weight > 0


@pytest.mark.parametrize("huge", [10**400, 1e308])
def test_figures_that_no_replica_can_have_are_silence(huge):
    said = Reporter().report(LOAD)
    for wrong in ({**said, "load": {**said["load"], "queued_prefill": huge}}, {**said, "leaving": huge}):
        assert read(wrong) is None
    assert weight_of({"kv_tokens": huge}) is None


def test_a_replica_of_another_version_is_understood_as_far_as_it_goes():
    said = Reporter().report(LOAD)
    more = {**said, "load": {**said["load"], "temperature": 80}, "parameters": {"of_tomorrow": 1}}
    heard = read(more)
    assert heard is not None
    assert (heard.load, heard.parameters) == (LOAD, None)


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ({"fulll": 1}, "fulll"),
        ({"full": "much"}, "full"),
        ({"full": True}, "full"),
        ({"full": 0}, "full must be a number above 0"),
        ({"full": 3}, "full is a share, at most 1"),
        ({"hysteresis": -1}, "hysteresis must be a number of 0 or more"),
        ({"hysteresis": 7.0}, "hysteresis is a share, at most 1"),
        ({"margin_seconds": float("nan")}, "margin_seconds"),
        ({"options": 1.5}, "options"),
        ([], "mapping"),
    ],
)
def test_wrong_parameters_are_named_and_change_nothing(given_, named):
    reporter = Reporter()
    reporter.configure({"full": 0.7})
    with pytest.raises(ConfigurationError, match=named):
        reporter.configure(given_)
    assert read(reporter.report(LOAD)).parameters == Parameters(full=0.7)


def test_parameters_are_those_that_most_replicas_name():
    old, new = read_parameters({"full": 0.5}), read_parameters({"full": 0.6})
    assert agreed([old, new, new, None]) == new
    assert agreed([new, old]) == agreed([old, new])
    assert agreed([None]) == Parameters()


class Heard:
    """A view, and replicas that report to it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.view = ReplicasView(self.clock)
        self.reporters = {"a": Reporter(), "b": Reporter()}
        self.said = {name: reporter.report(LOAD) for name, reporter in self.reporters.items()}
        self.tell()

    def tell(self, *names: str, load: EngineLoad = LOAD) -> None:
        """These report anew; a broadcast carries all."""
        for name in names:
            self.said[name] = self.reporters[name].report(load)
        self.view.heard((name, metadata(1_000), said) for name, said in self.said.items())

    def one(self, name: str = "a"):
        """As the policy sees it."""
        (replica,) = self.view.replicas([name])
        return replica


async def test_a_replica_whose_reports_stop_is_stale_though_others_are_broadcast():
    heard = Heard()
    for _ in range(int(STALE_SECONDS) + 1):
        assert heard.one("a").load == LOAD
        await heard.clock.advance(1)
        heard.tell("b")
    assert heard.one("a").load is None
    assert heard.one("a").weight == 1_000
    assert heard.one("b").load == LOAD
    assert heard.view.age("a") == STALE_SECONDS + 1
    heard.tell("a")
    assert heard.one("a").load == LOAD
    assert heard.one("never heard of").load is None


async def test_own_calls_that_a_report_still_shows_as_running_do_not_count_when_they_are_over():
    heard = Heard()
    heard.view.sent("a", "call", prefill=700, kv=900)
    await heard.clock.advance(3)
    heard.tell("a", load=replace(LOAD, running=3, waiting=1, queued_prefill=1_000))
    assert (heard.one().load.running, heard.one().load.queued_prefill) == (3, 1_000)
    heard.view.ended("a", "call")
    left = heard.one().load
    assert (left.running, left.waiting, left.queued_prefill, left.kv_used) == (2, 1, 300, LOAD.kv_used)
    # One that came after the report was in none of it.
    heard.view.sent("a", "later", prefill=1, kv=1)
    heard.view.ended("a", "later")
    assert heard.one().load == left
    # A report just after the end may have been made before it; the next one was not.
    await heard.clock.advance(0.5)
    heard.tell("a", load=replace(LOAD, running=1, waiting=0, queued_prefill=100))
    assert (heard.one().load.running, heard.one().load.queued_prefill) == (0, 0)
    await heard.clock.advance(1)
    heard.tell("a", load=replace(LOAD, running=1, queued_prefill=100))
    assert (heard.one().load.running, heard.one().load.queued_prefill) == (1, 100)


@pytest.mark.parametrize("said", [3.0, 3.9])
async def test_a_job_does_not_leave_its_home_for_the_load_of_its_own_turn_that_has_ended(said):
    """A slow replica whose last report, made while the job's first turn ran, is all that is known of it."""
    heard = Heard()
    slow = replace(LOAD, kv_capacity=100_000, prefill_per_second=1_000.0)
    heard.tell("a", "b", load=slow)
    names = ["a", "b"]
    first = route(Turn("job", 8_000), heard.view.replicas(names), Parameters())
    heard.view.sent(first.replica, "call", prefill=8_000, kv=8_500)
    await heard.clock.advance(said)
    shown = replace(slow, kv_used=8_000, running=1, queued_prefill=7_500)
    heard.tell(first.replica, load=shown)
    await heard.clock.advance(4 - said)
    next_turn = Turn("job", 9_000, last=first.replica, kept=8_500)
    elsewhere = replace(next_turn, prompt=2_000, kept=1_500)
    assert route(elsewhere, heard.view.replicas(names), Parameters()).label == "spill", "while it runs, it is a load"
    heard.view.ended(first.replica, "call")
    assert route(elsewhere, heard.view.replicas(names), Parameters()).replica == first.replica
    assert route(next_turn, heard.view.replicas(names), Parameters()).replica == first.replica


async def test_own_calls_count_until_a_report_shows_them_or_they_end():
    heard = Heard()
    await heard.clock.advance(1)
    heard.view.sent("a", "call", prefill=100, kv=150)
    heard.view.sent("a", "call", prefill=200, kv=250)
    heard.view.sent("b", "other", prefill=1, kv=1)
    heard.view.sent("gone", "call", prefill=1, kv=1)
    assert (heard.one().sent_prefill, heard.one().sent_kv, heard.one().sent_calls) == (300, 400, 2)
    # Made before the calls came, or about then: it may not show them.
    heard.tell("a")
    assert heard.one().sent_calls == 2
    heard.view.ended("a", "call")
    heard.view.ended("a", "unknown")
    heard.view.ended("gone", "call")
    assert heard.one().sent_calls == 1
    await heard.clock.advance(2)
    heard.tell("a")
    assert (heard.one().sent_calls, heard.one().sent_prefill) == (0, 0)
    heard.view.ended("a", "call")
    heard.view.ended("a", "call")
    assert heard.one().sent_calls == 0


def test_a_replica_that_went_is_forgotten():
    heard = Heard()
    heard.view.sent("a", "call", prefill=100, kv=150)
    del heard.said["a"]
    heard.tell("b")
    assert (heard.one().load, heard.view.age("a")) == (None, None)


async def test_one_that_leaves_does_so_though_it_falls_silent():
    heard = Heard()
    heard.reporters["a"].leaving = 0.25
    heard.tell("a")
    await heard.clock.advance(100)
    assert (heard.one().load, heard.one().leaving) == (None, 0.25)


def test_a_hint_is_made_of_the_request():
    request = GenerationRequest("job", (Message("user", "x" * 4_000),), Sampling(), 10_000)
    assert (hint_of(request).prompt, hint_of(request).generated, hint_of(request).last) == (1_000, 500, None)
    assert session_of(request) == "job"
    page = GenerationRequest("extract", (), Sampling(), 100, purpose="extract", prompt_tokens=7, kept_tokens=3)
    assert (hint_of(page).prompt, hint_of(page).generated, hint_of(page).kept) == (7, 100, 3)
    assert session_of(page) == ""


def test_decisions_are_counted_by_their_label():
    registry = CollectorRegistry()

    def make(declared: Declared):
        labels = [declared.label] if declared.label else []
        kind = Histogram if declared.bounds else Counter
        more = {"buckets": declared.bounds} if declared.bounds else {}
        metric = kind(declared.name, declared.help, labels, registry=registry, **more)

        def count(value: float, label: str) -> None:
            one = metric.labels(label) if labels else metric
            (one.observe if declared.bounds else one.inc)(value)

        return count

    metrics = RouterMetrics(make)
    metrics.sent("spill", 2.0, 0.4)
    metrics.sent("home", None, None)
    value = registry.get_sample_value
    assert value("literesearcher_router_decisions_total", {"decision": "spill"}) == 1
    assert value("literesearcher_router_decisions_total", {"decision": "home"}) == 1
    assert value("literesearcher_router_expected_seconds_sum", {"decision": "spill"}) == 2.0
    assert value("literesearcher_router_expected_seconds_count", {"decision": "home"}) is None
    assert value("literesearcher_router_stats_age_seconds_count") == 1


def test_the_setting_reaches_the_deployment_and_a_wrong_one_is_refused_before():
    name = "LITERESEARCHER_CLUSTER__ROUTING"
    configuration = serve_configuration(load_settings({name: '{"full": 0.8}'}, dotenv=None))
    (engine,) = (one for one in configuration["applications"] if one["name"] == "engine")
    assert engine["deployments"][0]["user_config"] == {"routing": {"full": 0.8}}
    for wrong in ('{"fulll": 0.8}', '{"full": -1}'):
        with pytest.raises(ConfigurationError, match=name):
            serve_configuration(load_settings({name: wrong}, dotenv=None))
