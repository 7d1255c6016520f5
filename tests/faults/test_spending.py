"""Whatever crashes: the ledger of a day is the fold of all journals, and no call that was paid for is hidden."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from datetime import UTC, timedelta

import pytest

from literesearcher.jobs.live import LocalLive
from literesearcher.jobs.spending import Spend, day_of
from literesearcher.jobs.sql_store import open_store
from literesearcher.orchestrator.faults import FAULT_POINTS
from literesearcher.research.events import JobEnded, ToolCompleted, ToolStarted
from literesearcher.research.tool_accounts import micro_usd
from literesearcher.settings.sections import BudgetsSection, OrchestratorSection, TenantBudget
from literesearcher.testing.bench import Bench
from literesearcher.testing.faults import Crash, CrashAt
from literesearcher.timing.clock import SystemClock

FULL_COST = 3_000 + 0 + 10_000
"""Millionths of a USD: three queries and a page, nothing lost."""
CASES = [(point, n) for point in FAULT_POINTS for n in (1, 2, 4, 6, 8) if n == 1 or "claim" not in point]


async def folded(world, jobs) -> dict[str, Spend]:
    """By day, from the journals alone: a call counts on the day of its intent."""
    calls, money = Counter(), Counter()
    for job in jobs:
        total, opened = 0, None
        for row in await world.store.read(job.id):
            event = row.event
            if isinstance(event, ToolStarted):
                opened = day_of(row.at)
                calls[opened] += 1
                money[opened] += micro_usd(event.reserved_usd)
                total += micro_usd(event.reserved_usd)
            elif isinstance(event, ToolCompleted) and event.called:
                change = micro_usd(event.cost_usd) - micro_usd(event.reserved_usd)
                money[opened] += change
                total += change
            elif isinstance(event, JobEnded):
                assert micro_usd(event.usage.tool_cost_usd) == total
    return {day: Spend(calls[day], money[day]) for day in calls}


async def check(world, jobs, tenant="default") -> dict[str, Spend]:
    days = await folded(world, jobs)
    for day, spend in days.items():
        assert await world.store.spent(tenant, day) == spend
    return days


@pytest.mark.parametrize(("point", "n"), CASES)
async def test_the_ledger_is_the_fold_of_the_journal(world, check_journal, point, n):
    job = await world.create()
    try:
        await asyncio.wait_for(world.worker("first", faults=CrashAt(point, n)).run_job(job.id), 30)
        crashed = False
    except Crash:
        crashed = True
    before = await check(world, [job])
    lost = crashed and (await world.types(job))[-1] == "tool.started"
    await world.clock.advance(31)
    ended = await world.worker("second").run_job(job.id)
    after = await check(world, [job])
    check_journal(await world.store.read(job.id))
    assert sum(day.calls for day in after.values()) == 3 + lost
    assert micro_usd(ended.usage.tool_cost_usd) == sum(day.micro_usd for day in after.values())
    if lost:
        # What the dead process may have paid for stays at its whole reserve.
        assert sum(day.micro_usd for day in after.values()) > FULL_COST
        assert sum(day.micro_usd for day in before.values()) > 0
    else:
        assert sum(day.micro_usd for day in after.values()) == FULL_COST


async def test_a_call_over_midnight_counts_on_the_day_of_its_intent(world):
    evening = world.clock.now().astimezone(UTC).replace(hour=23, minute=59, second=59, microsecond=0)
    await world.clock.advance((evening - world.clock.now()) % timedelta(days=1) / timedelta(seconds=1))
    job = await world.create()
    first = day_of(world.clock.now())
    call = world.tools.call

    async def slow(request):
        await world.clock.advance(2)
        return await call(request)

    world.tools.call = slow
    await world.worker().run_job(job.id)
    days = await check(world, [job])
    assert days[first] == Spend(1, 2_000)
    assert sum(day.micro_usd for day in days.values()) == FULL_COST


@pytest.mark.parametrize("limits", [{"calls_per_day": 7}, {"usd_per_day": 0.02}])
async def test_jobs_of_a_tenant_that_run_at_once_never_pass_its_budget(world, limits):
    world.budgets = BudgetsSection(tenants={"default": TenantBudget(**limits)})
    jobs = [await world.create(str(n)) for n in range(8)]
    async with world.serving():
        ended = [await world.ended(job) for job in jobs]
    (spent,) = (await check(world, jobs)).values()
    assert spent.calls <= limits.get("calls_per_day", 99)
    assert spent.micro_usd <= micro_usd(limits.get("usd_per_day", 99))
    assert {job.stop_reason for job in ended} <= {"answer", "budget_spent"}
    assert "budget_spent" in {job.stop_reason for job in ended}
    # The budget is used: too little is left for the next call, not for many.
    assert spent.calls == 7 or spent.micro_usd > 8_000


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("point", ["after_intent", "during_effect"])
async def test_a_killed_process_hides_no_call(script, script_file, check_journal, request, tmp_path, database, point):
    sqlite = f"sqlite:///{tmp_path / 'jobs.sqlite3'}"
    url = sqlite if database == "sqlite" else request.getfixturevalue("postgres_url")
    store = await open_store(url, migrate=True)
    world = Bench(
        store=store,
        live=LocalLive(),
        clock=SystemClock(),
        engine=script.PromptEngine(),
        tools=script.Echo(),
        orchestrator=OrchestratorSection(lease_seconds=1, poll_seconds=0.05),
    )
    try:
        jobs = [await world.create(str(n)) for n in range(2)]
        for job, n in zip(jobs, (2, 5), strict=True):
            process = await asyncio.create_subprocess_exec(sys.executable, str(script_file), url, job.id, point, str(n))
            assert await process.wait() == -signal.SIGKILL
            assert (await world.types(job))[-1] == "tool.started"
        assert await check(world, jobs)
        for job in jobs:
            await world.worker("next").run_job(job.id)
            check_journal(await store.read(job.id))
        days = await check(world, jobs)
        assert sum(day.calls for day in days.values()) == 8
        # Of the first job's lost search both queries, of the second's the page.
        assert sum(day.micro_usd for day in days.values()) == 2 * FULL_COST + 4_000 + 10_000
    finally:
        await store.aclose()
