"""What a request asks of its job's tools, what a tenant may spend in a day, and jobs whose journal is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from literesearcher.errors import DamagedEvent
from literesearcher.gateway.documents import JobObject, ProblemDocument, UsageOfDay
from literesearcher.jobs.lifecycle import damaged_end
from literesearcher.jobs.sql_store import open_store
from literesearcher.research.events import ToolStarted
from literesearcher.settings.sections import BudgetsSection, TenantBudget
from literesearcher.testing.journal_events import attempt
from literesearcher.testing.served_gateway import Served

Start = Callable[..., Awaitable[Served]]
TOOLS = {"cache": "only", "sources": {"deny_domains": ["Example.com"], "languages": ["en"], "max_pages_per_domain": 2}}


def paid(usd: float) -> ToolStarted:
    return ToolStarted(1, "search", {"query": ["q"]}, usd)


async def test_the_wish_reaches_the_journal_and_the_job_object(served: Served) -> None:
    body = {"input": "q", "tools": TOOLS, "limits": {"max_tool_cost_usd": 0.5}}
    status, _, job = await served.call("POST", "/v1/research", json=body)
    assert status == 202
    JobObject.model_validate(job)
    (created,) = await served.store.read(job["id"])
    expected = {
        "cache": "only",
        "sources": {
            "allow_domains": [],
            "deny_domains": ["example.com"],
            "published_after": None,
            "published_before": None,
            "languages": ["en"],
            "max_pages_per_domain": 2,
        },
        "fidelity": "improved",
    }
    assert job["tools"] == created.payload["tools"] == expected
    assert created.payload["limits"]["max_tool_cost_usd"] == 0.5
    assert (await served.call("GET", f"/v1/research/{job['id']}"))[2]["tools"] == expected
    assert (await served.call("GET", "/v1/research"))[2]["data"][0]["tools"] is None


@pytest.mark.parametrize(
    ("tools", "field"),
    [
        ({"cash": "only"}, "tools.cash"),
        ({"cache": "on"}, "tools.cache"),
        ({"fidelity": "published"}, "tools.fidelity"),
        ({"sources": {"allow": []}}, "tools.sources.allow"),
        ({"sources": {"allow_domains": ["https://a.example"]}}, "tools.sources.allow_domains.0"),
        ({"sources": {"allow_domains": "a.example"}}, "tools.sources.allow_domains"),
        ({"sources": {"deny_domains": ["a\u0000b"]}}, "tools.sources.deny_domains.0"),
        ({"sources": {"published_after": "2024-02-30"}}, "tools.sources.published_after"),
        ({"sources": {"published_after": "soon"}}, "tools.sources.published_after"),
        ({"sources": {"max_pages_per_domain": "3"}}, "tools.sources.max_pages_per_domain"),
        ([], "tools"),
    ],
)
async def test_refusals_name_the_field(served: Served, tools: Any, field: str) -> None:
    status, _, problem = await served.call("POST", "/v1/research", json={"input": "q", "tools": tools})
    assert (status, problem["code"], problem["field"]) == (422, "invalid_request", field)


async def test_the_wish_is_part_of_what_an_idempotency_key_stands_for(served: Served) -> None:
    headers = {"Idempotency-Key": "k"}
    _, _, first = await served.call("POST", "/v1/research", json={"input": "q", "tools": TOOLS}, headers=headers)
    _, _, again = await served.call("POST", "/v1/research", json={"input": "q", "tools": TOOLS}, headers=headers)
    assert again["id"] == first["id"]
    status, _, problem = await served.call("POST", "/v1/research", json={"input": "q"}, headers=headers)
    assert (status, problem["code"]) == (422, "idempotency_key_reused")


class TestBudgets:
    async def test_usage_of_the_day(self, start: Start) -> None:
        served = await start(budgets=BudgetsSection(usd_per_day=50))
        _, _, before = await served.call("GET", "/v1/usage")
        UsageOfDay.model_validate(before)
        assert (before["tenant"], before["tool_calls"], before["tool_cost_usd"]) == ("default", 0, 0)
        assert before["limits"] == {"tool_calls": None, "tool_cost_usd": 50.0}
        await served.append(await served.create(), attempt(), paid(0.25))
        _, _, after = await served.call("GET", "/v1/usage")
        assert (after["tool_calls"], after["tool_cost_usd"]) == (1, 0.25)
        resets = datetime.fromisoformat(after["resets_at"])
        assert resets - timedelta(days=1) == datetime.fromisoformat(after["day"]).replace(tzinfo=UTC)
        status, _, problem = await served.call("GET", "/v1/usage?day=2020-01-01")
        assert (status, problem["code"]) == (422, "invalid_request")

    async def test_a_tenant_over_its_budget_is_refused_until_midnight(self, start: Start) -> None:
        """And its old jobs are there; a job that its key made before is given again."""
        served = await start(budgets=BudgetsSection(calls_per_day=1))
        headers = {"Idempotency-Key": "k"}
        job_id = await served.create(headers=headers)
        await served.append(job_id, attempt(), paid(0.25))
        status, answered, problem = await served.call("POST", "/v1/research", json={"input": "q"})
        ProblemDocument.model_validate(problem)
        assert (status, problem["code"]) == (429, "budget_spent")
        assert "1 of 1 calls" in problem["detail"]
        assert 0 < int(answered["Retry-After"]) <= 86_400
        assert await served.create(headers=headers) == job_id
        assert (await served.call("GET", f"/v1/research/{job_id}"))[0] == 200

    async def test_each_tenant_has_its_own(self, start: Start) -> None:
        """What a tenant's own budget leaves out is everybody's; null lifts a limit."""
        budgets = BudgetsSection(
            calls_per_day=1,
            usd_per_day=9,
            tenants={"lab": TenantBudget(calls_per_day=None), "none": {"calls_per_day": 0}},
        )
        served = await start(budgets=budgets)
        tokens = {name: (await served.store.create_key(name, "k"))[1] for name in ("lab", "other", "none")}
        for name, status in (("lab", 202), ("other", 429), ("none", 429)):
            headers = {"X-API-Key": tokens[name]}
            if name != "none":
                await served.append(await served.create(headers=headers), attempt(), paid(0.25))
            answer, _, _ = await served.call("POST", "/v1/research", json={"input": "q"}, headers=headers)
            assert answer == status, name
        _, _, usage = await served.call("GET", "/v1/usage", headers={"X-API-Key": tokens["lab"]})
        assert (usage["tenant"], usage["tool_calls"]) == ("lab", 1)
        assert usage["limits"] == {"tool_calls": None, "tool_cost_usd": 9.0}
        assert (await served.call("GET", "/v1/usage"))[0] == 401


async def test_a_job_whose_journal_is_damaged_can_be_looked_up_and_removed(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "jobs.sqlite3"
    store = await open_store(f"sqlite:///{file}")
    try:
        served = await start(store=store)
        job_id = await served.create()
        claim = await served.claim(job_id)
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE events SET payload = '{half' WHERE job_id = ?", (job_id,))
        status, _, job = await served.call("GET", f"/v1/research/{job_id}")
        assert (status, job["status"], job["tools"]) == (200, "queued", None)
        await store.end_unread(
            job_id, claim.fence, at=datetime.now(UTC), end=damaged_end(DamagedEvent("event 1 is damaged"))
        )
        _, _, job = await served.call("GET", f"/v1/research/{job_id}")
        assert (job["status"], job["error"]["code"]) == ("failed", "journal_damaged")
        status, _, problem = await served.call(
            "GET", f"/v1/research/{job_id}/events", headers={"Accept": "application/json"}
        )
        assert (status, problem["code"]) == (500, "store_corrupt")
        assert (await served.call("DELETE", f"/v1/research/{job_id}"))[0] == 204
    finally:
        await store.aclose()


async def test_a_damaged_job_that_nobody_holds_can_be_cancelled(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "jobs.sqlite3"
    store = await open_store(f"sqlite:///{file}")
    try:
        served = await start(store=store)
        job_id = await served.create()
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE events SET payload = '[]' WHERE job_id = ?", (job_id,))
        status, _, job = await served.call("POST", f"/v1/research/{job_id}/cancel", json={})
        assert (status, job["status"], job["error"]["code"]) == (200, "failed", "journal_damaged")
    finally:
        await store.aclose()
