"""What a job asks of its tools reaches every call, what they cost is held to, and what was asked before is known."""

from __future__ import annotations

import sqlite3

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.jobs.sql_store import open_store
from literesearcher.research.events import AttemptStarted, BudgetReached, ToolCompleted, ToolItem, ToolStarted
from literesearcher.research.messages import Limits
from literesearcher.research.tool_options import SourcePolicy, ToolOptions
from literesearcher.settings.sections import BudgetsSection, TenantBudget
from literesearcher.testing.faults import Crash, CrashAt
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.testing.scripted_engine import ScriptedEngine
from literesearcher.tools.port import ToolResult

OPTIONS = ToolOptions("only", SourcePolicy(allow_domains=("example.org",), max_pages_per_domain=3), "improved")
PRICES = {"search": 0.01, "visit": 0.02}


def found(*domains: str, ok: bool = True, cost: float = 0.001) -> ToolResult:
    items = [
        ToolItem("page", f"https://{domain}/", ok=ok, text="t", cost_usd=cost, domain=domain) for domain in domains
    ]
    return ToolResult("text of " + ",".join(domains), items)


def plays(library, *results: ToolResult) -> None:
    left = list(results)

    async def play(request):
        return left.pop(0)

    library.on_call = play


async def test_every_call_has_the_jobs_terms_and_the_pages_it_has_read(bench, say, library):
    plays(library, found("a.org", "b.org"), found("a.org"), found("c.org", ok=False), found("c.org"))
    world = bench(ScriptedEngine([say.search("1"), say.search("2"), say.search("3"), say.search("4"), say.answer("x")]))
    job = await world.create(tools=OPTIONS)
    async with world.serving():
        await world.ended(job)
    asks = [call.ask for call in library.calls]
    assert {(ask.cache, ask.sources, ask.fidelity) for ask in asks} == {("only", OPTIONS.sources, "improved")}
    assert [ask.pages_read for ask in asks] == [
        {},
        {"a.org": 1, "b.org": 1},
        {"a.org": 2, "b.org": 1},
        {"a.org": 2, "b.org": 1},
    ]


async def test_prices_are_asked_once_an_attempt_and_stand_in_the_journal(bench, say, library):
    library.price_list = PRICES
    plays(library, found("a.org"), found("b.org", cost=0.0))
    world = bench(ScriptedEngine([say.search("1", "2"), say.search("3"), say.answer("x")]))
    job = await world.create()
    async with world.serving():
        ended = await world.ended(job)
    events = await world.events(job)
    assert [event.prices for event in events if isinstance(event, AttemptStarted)] == [PRICES]
    assert [event.reserved_usd for event in events if isinstance(event, ToolStarted)] == [0.02, 0.01]
    results = [event for event in events if isinstance(event, ToolCompleted)]
    assert [(event.cost_usd, event.reserved_usd) for event in results] == [(0.001, 0.02), (0.0, 0.01)]
    assert ended.usage.tool_cost_usd == 0.001


@pytest.mark.parametrize("prices", [{"search": float("nan")}, {"search": -1.0}, {"search": float("inf")}])
async def test_a_price_list_that_holds_no_prices(bench, say, library, prices):
    library.price_list = prices
    world = bench(ScriptedEngine([]))
    job = await world.create()
    async with world.serving():
        ended = await world.ended(job)
    assert (ended.status, ended.error_code) == ("failed", "tools_error")


async def test_the_job_ends_before_a_call_that_could_cost_too_much(bench, say, library):
    library.price_list = PRICES
    plays(library, found("a.org", cost=0.01))
    world = bench(ScriptedEngine([say.search("1"), say.search("2", "3")]))
    job = await world.create(limits=Limits(max_tool_cost_usd=0.025))
    async with world.serving():
        ended = await world.ended(job)
    assert (ended.stop_reason, ended.status, len(library.calls)) == ("exceed_max_tool_cost", "incomplete", 1)
    assert ended.usage.tool_cost_usd == 0.01


async def test_a_spent_budget_ends_the_job_before_its_next_call_and_keeps_what_it_had(bench, say, library):
    """The turn that asked for the call is journalled, the intent is not; another tenant goes on."""
    budgets = BudgetsSection(calls_per_day=1, tenants={"rich": TenantBudget(calls_per_day=None)})
    steps = [say.search("1"), "Perhaps forty-two." + say.search("2")]
    world = bench(ScriptedEngine([*steps, say.search("1"), say.search("2"), say.answer("42")]), budgets=budgets)
    job = await world.create()
    await world.worker().run_job(job.id)
    ended = await world.job(job)
    assert (ended.stop_reason, ended.status, ended.error_code) == ("budget_spent", "incomplete", None)
    assert ended.output_text == "Perhaps forty-two."
    types = await world.types(job)
    assert types[-3:] == ["turn.completed", "budget.reached", "job.ended"]
    assert types.count("tool.started") == 1
    reached = (await world.events(job))[-2]
    assert isinstance(reached, BudgetReached)
    assert "1 of 1 calls" in reached.message
    assert (await world.store.spent("default", ended.created_at.date().isoformat())).calls == 1
    other = await world.create(tenant_id="rich")
    assert (await world.worker().run_job(other.id, tenant_id="rich")).stop_reason == "answer"


async def test_a_try_that_was_lost_on_the_way_may_have_been_paid_for(bench, say, library, clock):
    library.price_list = PRICES
    lost = [BoundaryError("slow", code="tools_timeout", transient=True), found("a.org")]

    async def play(request):
        result = lost.pop(0)
        if isinstance(result, BoundaryError):
            raise result
        return result

    library.on_call = play
    world = bench(ScriptedEngine([say.search("1"), say.answer("x")]))
    job = await world.create()
    async with world.serving():

        async def over() -> bool:
            await clock.advance(1)
            return (await world.job(job)).ended_at is not None

        await world.until(over)
    assert (await world.job(job)).usage.tool_cost_usd == 0.011


class TestRepeats:
    async def test_the_same_call_reads_the_same_text_from_the_journal(self, bench, say, library):
        plays(library, found("a.org"), found("b.org"))
        engine = ScriptedEngine([say.search("1"), say.search("2"), say.search("1"), say.answer("x")])
        world = bench(engine, repeats="journal")
        job = await world.create()
        async with world.serving():
            ended = await world.ended(job)
        assert len(library.calls) == 2
        first, _, third = [event for event in await world.events(job) if isinstance(event, ToolCompleted)]
        (row,) = [row for row in await world.store.read(job.id) if row.event == first]
        assert (third.text, third.repeats_seq, third.items) == (first.text, row.seq, [])
        assert (third.called, third.cost_usd, third.reserved_usd) == (True, 0.0, 0.0)
        assert engine.requests[-1].messages[-1] == engine.requests[1].messages[-1]
        assert ended.usage.tool_calls == 3
        assert (await world.types(job)).count("tool.started") == 2

    async def test_another_worker_answers_from_the_journal_of_the_first(self, bench, say, library):
        plays(library, found("a.org"))
        world = bench(ScriptedEngine([say.search("1"), say.search("1"), say.answer("x")]), repeats="journal")
        job = await world.create()
        with pytest.raises(Crash):
            await world.worker("first", faults=CrashAt("after_result", 2)).run_job(job.id)
        assert (await world.types(job))[-2:] == ["tool.completed", "turn.started"]
        await world.clock.advance(31)
        ended = await world.worker("second").run_job(job.id)
        assert (ended.stop_reason, len(library.calls)) == ("answer", 1)
        assert [event.repeats_seq for event in await world.events(job) if isinstance(event, ToolCompleted)] == [None, 6]

    async def test_a_call_that_failed_is_made_again(self, bench, say, library):
        world = bench(ScriptedEngine([say.search("1"), say.search("1"), say.answer("x")]), repeats="journal")
        half = found("a.org")
        half.items.extend(found("b.org", ok=False).items)
        plays(library, half, found("a.org", "b.org"))
        job = await world.create()
        async with world.serving():
            await world.ended(job)
        assert len(library.calls) == 2

    async def test_by_default_it_is_fetched(self, bench, say, library):
        plays(library, found("a.org"), found("a.org"))
        world = bench(ScriptedEngine([say.search("1"), say.search("1"), say.answer("x")]))
        job = await world.create()
        async with world.serving():
            await world.ended(job)
        assert len(library.calls) == 2


@pytest.mark.parametrize("seq", [1, 2])
async def test_a_job_whose_journal_is_damaged_is_ended_and_not_tried_for_ever(bench, tmp_path, seq):
    """Its row says what happened, its journal stays as it was, and it can be looked up, cancelled and deleted."""
    file = tmp_path / "jobs.sqlite3"
    store = await open_store(f"sqlite:///{file}")
    try:
        world = bench(ScriptedEngine([]))
        world.store = store
        job = await world.create()
        (claim,) = await store.claim("w", lease_seconds=60, job_id=job.id)
        await store.append(
            job.id,
            fence=claim.fence,
            expected_seq=2,
            attempt=1,
            at=ManualClock().now(),
            events=[AttemptStarted("w", "openai", "m", 4096)],
        )
        await store.release(job.id, claim.fence)
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE events SET payload = '{half' WHERE job_id = ? AND seq = ?", (job.id, seq))
        async with world.serving():
            ended = await world.ended(job)
        assert (ended.status, ended.stop_reason, ended.error_code) == ("failed", "internal_error", "journal_damaged")
        assert f"event {seq} of {job.id}" in (ended.error_message or "")
        assert ended.attempt == 2
        with sqlite3.connect(file) as connection:
            rows = connection.execute("SELECT seq, payload FROM events WHERE job_id = ?", (job.id,)).fetchall()
        assert len(rows) == 2
        assert not await store.claim("w", lease_seconds=60, job_id=job.id)
        await store.delete("default", job.id)
    finally:
        await store.aclose()
