"""Batches over HTTP: in order, each call for itself, some at a time."""

from __future__ import annotations

import asyncio

from literesearcher.errors import BoundaryError
from literesearcher.testing.scripted_tools import ScriptedTools, World
from literesearcher.tools.port import ToolRequest, ToolResult
from literesearcher.tools.providers.port import SearchResult
from literesearcher.tools.service.batch import AT_ONCE, MAX_CALLS

WORLD = World(
    searches={f"q{n}": [SearchResult(f"T{n}", f"https://t{n}.example/", "S")] for n in range(MAX_CALLS)},
    pages={"https://t.example/": ("e", "s")},
)


class CountingTools(ScriptedTools):
    """Knows how many calls were under way at once; a query for a failure fails."""

    def __init__(self) -> None:
        super().__init__(world=WORLD)
        self.under_way = self.most = 0

    async def call(self, request: ToolRequest) -> ToolResult:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            if request.arguments.get("query") == ["away"]:
                raise BoundaryError("the provider is away", code="away", transient=True)
            return await super().call(request)
        finally:
            self.under_way -= 1


async def test_a_hundred_calls_come_back_in_order_and_few_run_at_once(serving):
    tools = CountingTools()
    async with serving(tools) as session:
        body = {"calls": [{"query": [f"q{n}"], "tenant_id": "t"} for n in range(MAX_CALLS)]}
        async with session.post("/v1/tools/search/batch", json=body) as response:
            assert response.status == 200
            results = (await response.json())["results"]
        single = []
        for n in (0, 99):
            async with session.post("/v1/tools/search", json={"query": f"q{n}"}) as response:
                single.append(await response.json())
    assert [one["result"]["items"][0]["target"] for one in results] == [f"q{n}" for n in range(MAX_CALLS)]
    assert [results[0]["result"], results[99]["result"]] == single
    assert 1 < tools.most <= AT_ONCE
    assert {call.ask.tenant_id for call in tools.calls[:MAX_CALLS]} == {"t"}


async def test_a_call_that_is_wrong_or_fails_spoils_no_other(serving):
    tools = CountingTools()
    calls = [
        {"query": "q1"},
        {"query": 7},
        "q",
        {"query": "q1", "cache": "always"},
        {"query": "away"},
        {"query": "q2", "fidelity": "published", "cache": "bypass"},
    ]
    async with serving(tools) as session:
        async with session.post("/v1/tools/search/batch", json={"calls": calls}) as response:
            assert response.status == 200
            results = (await response.json())["results"]
        async with session.post(
            "/v1/tools/visit/batch", json={"calls": [{"url": "https://t.example/", "goal": "g"}, {"url": "x"}]}
        ) as response:
            pages = (await response.json())["results"]
    assert [next(iter(one)) for one in results] == ["result", "problem", "problem", "problem", "problem", "result"]
    told = [(one["problem"]["status"], one["problem"].get("field")) for one in results if "problem" in one]
    assert told == [(422, "calls.1.query"), (422, "calls.2"), (422, "calls.3.cache"), (503, None)]
    assert (tools.calls[1].ask.fidelity, tools.calls[1].ask.cache) == ("published", "bypass")
    assert pages[0]["result"]["items"][0]["extracted"]["summary"] == "s"
    assert pages[1]["problem"]["field"] == "calls.1.goal"


async def test_a_caller_that_hangs_up_cancels_the_whole_batch(serving):
    entered, cancelled = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedTools):
        async def call(self, request: ToolRequest) -> ToolResult:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            raise AssertionError

    async with serving(Slow()) as session:
        asking = asyncio.create_task(
            session.post("/v1/tools/search/batch", json={"calls": [{"query": "q"}, {"query": "r"}]})
        )
        await entered.wait()
        asking.cancel()
        async with asyncio.timeout(20):
            await cancelled.wait()
        await asyncio.gather(asking, return_exceptions=True)
