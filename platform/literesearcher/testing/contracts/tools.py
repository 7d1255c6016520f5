"""The tools port's contract: what every form of the tools does with one small world of results and pages.

A test subclasses `ToolsContract` and gives the fixture `tools`, an implementation in which `WORLD` can be found.
Happy, several, missing, wrong shapes, unknown tool, concurrent, cancelled, closed twice. Refuses to know: how the
world is served.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from literesearcher.testing.scripted_tools import World
from literesearcher.tools.port import Ask, ToolRequest, ToolResult, Tools
from literesearcher.tools.providers.port import SearchResult

HEAPQ, BISECT = "pydoc:heapq.merge", "pydoc:bisect"
EVIDENCE = "heapq.merge merges several sorted inputs into one sorted iterator.\n{braces} “quotes” 谁"
WORLD = World(
    searches={
        "merge": [
            SearchResult("heapq.merge", HEAPQ, "merges sorted inputs"),
            SearchResult("bisect 谁", BISECT, "finds a place"),
        ],
        "place": [SearchResult("bisect 谁", BISECT, "finds a place")],
    },
    pages={HEAPQ: (EVIDENCE, "It merges."), BISECT: ("bisect finds a place.", "It finds.")},
)
SEARCHED = (
    "A Google search for 'merge' found 2 results:\n\n## Web Results\n"
    f"1. [heapq.merge]({HEAPQ})\n\nmerges sorted inputs\n\n2. [bisect 谁]({BISECT})\n\nfinds a place"
)
VISITED = (
    f"The useful information in {HEAPQ} for user goal what it does as follows: \n\n"
    f"Evidence in page: \n{EVIDENCE}\n\nSummary: \nIt merges."
)
UNREACHABLE = (
    "The useful information in {url} for user goal g as follows: \n\n"
    "Evidence in page: \nThe provided webpage content could not be accessed.\n\n"
    "Summary: \nThe webpage content could not be processed."
)


async def called(tools: Tools, name: str, **arguments: Any) -> ToolResult:
    """One call with these arguments."""
    return await tools.call(ToolRequest(name, arguments, Ask(job_id="job_1", tenant_id="t", timeout_seconds=60.0)))


class ToolsContract:
    """See the module. Implementations may differ in providers, times and cache, never in texts."""

    async def test_search_lists_results_to_the_byte(self, tools: Tools) -> None:
        result = await called(tools, "search", query=["merge"])
        assert result.text == SEARCHED
        (item,) = result.items
        assert (item.kind, item.target, item.ok, item.status, item.text) == ("search", "merge", True, "found", SEARCHED)
        assert item.results == [{"title": "heapq.merge", "url": HEAPQ}, {"title": "bisect 谁", "url": BISECT}]

    async def test_a_bare_query_is_one_query(self, tools: Tools) -> None:
        assert (await called(tools, "search", query="merge")).text == SEARCHED

    async def test_several_queries_keep_their_order(self, tools: Tools) -> None:
        result = await called(tools, "search", query=["nothing's here", "merge", "nothing's here"])
        none = "No results found for 'nothing's here'."
        assert result.text == "\n=======\n".join([none, SEARCHED, none])
        assert [(item.ok, item.status) for item in result.items] == [(True, "none"), (True, "found"), (True, "none")]

    async def test_training_leaves_duplicates_out(self, tools: Tools) -> None:
        request = ToolRequest("search", {"query": ["merge", "place"]}, Ask(profile="training", timeout_seconds=60.0))
        text = (await tools.call(request)).text
        first, _, second = text.partition("\n\n=======\n\n")
        assert first.endswith(f"2. [bisect 谁]({BISECT})\nfinds a place")
        assert second == "No results found for 'place'."

    async def test_visit_reads_a_page_to_the_byte(self, tools: Tools) -> None:
        result = await called(tools, "visit", url=HEAPQ, goal="what it does")
        assert result.text == VISITED
        (item,) = result.items
        assert (item.kind, item.target, item.ok, item.status) == ("page", HEAPQ, True, "found")
        assert item.text.strip() == VISITED
        assert item.extracted is not None
        assert (item.extracted["evidence"], item.extracted["summary"]) == (EVIDENCE, "It merges.")

    async def test_several_pages_keep_their_order_and_one_may_be_missing(self, tools: Tools) -> None:
        result = await called(tools, "visit", url=["pydoc:nowhere", HEAPQ], goal="g")
        first, _, second = result.text.partition("\n=======\n")
        assert first.rstrip() == UNREACHABLE.format(url="pydoc:nowhere")
        assert second.startswith(f"The useful information in {HEAPQ} for user goal g")
        assert [item.ok for item in result.items] == [False, True]
        assert result.items[0].status == "missing"

    async def test_a_url_that_may_not_be_fetched_reads_as_one_that_could_not(self, tools: Tools) -> None:
        for url in ("http://127.0.0.1/admin", "file:///etc/passwd", "http://metadata.google.internal/"):
            result = await called(tools, "visit", url=[url], goal="g")
            assert result.text == UNREACHABLE.format(url=url)
            assert not result.items[0].ok

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("search", {}),
            ("search", {"query": []}),
            ("search", {"query": 7}),
            ("search", {"query": ["x"] * 1000}),
            ("visit", {"url": HEAPQ}),
            ("visit", {"url": [], "goal": "g"}),
            ("visit", {"url": [1], "goal": "g"}),
        ],
    )
    async def test_wrong_arguments_get_a_text(self, tools: Tools, name: str, arguments: dict[str, Any]) -> None:
        result = await called(tools, name, **arguments)
        assert result.text.startswith("Error: ")
        assert result.items == []

    async def test_an_unknown_tool_gets_the_published_text(self, tools: Tools) -> None:
        assert (await called(tools, "browse", x=1)).text == "Error: Tool browse not found"

    async def test_prices_name_every_tool(self, tools: Tools) -> None:
        prices = await tools.prices()
        assert set(prices) == {"search", "visit"}
        assert all(usd >= 0 for usd in prices.values())

    async def test_many_calls_at_once(self, tools: Tools) -> None:
        calls = [called(tools, "search", query=["merge"]) for _ in range(20)]
        calls += [called(tools, "visit", url=[HEAPQ], goal="what it does") for _ in range(20)]
        texts = [result.text for result in await asyncio.gather(*calls)]
        assert texts == [SEARCHED] * 20 + [VISITED] * 20

    async def test_a_cancelled_call_leaves_the_tools_usable(self, tools: Tools) -> None:
        task = asyncio.create_task(called(tools, "visit", url=[HEAPQ], goal="what it does"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await called(tools, "visit", url=[HEAPQ], goal="what it does")).text == VISITED

    async def test_closing_twice_is_safe(self, tools: Tools) -> None:
        await called(tools, "search", query=["merge"])
        await tools.aclose()
        await tools.aclose()
