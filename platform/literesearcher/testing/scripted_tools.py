"""Tools that do as a test wrote: the in-memory twin of the tool proxy.

Two ways to use it, which can be mixed: `steps`, each meant for the next call, that fail on a call nobody expected
and, at `assert_done`, on a step nobody used; or a small `world` of results and pages, in which calls may come in any
order and are rendered by the real wordings. Refuses to know: networks, engines, clocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from literesearcher.research.events import ToolItem
from literesearcher.tools import formatting
from literesearcher.tools.arguments import UnusableArguments, search_queries, visit_pages
from literesearcher.tools.port import ToolRequest, ToolResult
from literesearcher.tools.providers.port import SearchResult


@dataclass(frozen=True, slots=True)
class ToolStep:
    """One expected call: its name, its arguments (None: any), and what becomes of it.

    `gate`: the call answers when the event is set; `entered` is set when the call has begun.
    """

    name: str
    result: ToolResult | str | BaseException
    arguments: dict[str, Any] | None = None
    gate: asyncio.Event | None = None
    entered: asyncio.Event | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What there is to find: results by query, and (evidence, summary) by URL."""

    searches: Mapping[str, Sequence[SearchResult]] = field(default_factory=dict)
    pages: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class ScriptedTools:
    """Implements `tools.port.Tools`. `calls` holds every request in the order it came."""

    def __init__(self, steps: Sequence[ToolStep] = (), *, world: World | None = None) -> None:
        self._steps = list(steps)
        self._world = world
        self.calls: list[ToolRequest] = []
        self.closed = False
        self.price_list: dict[str, float] = {"search": 0.0, "visit": 0.0}

    async def call(self, request: ToolRequest) -> ToolResult:
        """The next step's result, or the world's."""
        self.calls.append(request)
        if self._steps:
            return await self._step(self._steps.pop(0), request)
        if self._world is None:
            raise AssertionError(f"nobody expected a call of {request.name} with {request.arguments}")
        try:
            return _rendered(self._world, request)
        except UnusableArguments as error:
            return ToolResult(error.message)

    async def _step(self, step: ToolStep, request: ToolRequest) -> ToolResult:
        if step.name != request.name or step.arguments not in (None, request.arguments):
            raise AssertionError(
                f"expected {step.name} with {step.arguments}, got {request.name} with {request.arguments}"
            )
        if step.entered is not None:
            step.entered.set()
        if step.gate is not None:
            await step.gate.wait()
        if isinstance(step.result, BaseException):
            raise step.result
        return ToolResult(step.result) if isinstance(step.result, str) else step.result

    async def prices(self) -> dict[str, float]:
        """What the test set; nothing costs anything by default."""
        return dict(self.price_list)

    def assert_done(self) -> None:
        """Fail where steps were left over."""
        if self._steps:
            raise AssertionError(f"{len(self._steps)} steps were never called, the next is {self._steps[0]}")

    async def aclose(self) -> None:
        """Remember that it was closed. Safe to call twice."""
        self.closed = True


def _rendered(world: World, request: ToolRequest) -> ToolResult:
    if request.name == "search":
        seen: set[str] = set()
        found = [_search_item(world, query, request, seen) for query in search_queries(request.arguments)]
        return ToolResult(formatting.join_searches([item.text for item in found], request.ask.profile), found)
    if request.name == "visit":
        urls, goal = visit_pages(request.arguments)
        read = [_page_item(world, url, goal) for url in urls]
        return ToolResult(formatting.join_pages([item.text for item in read]), read)
    return ToolResult(f"Error: Tool {request.name} not found")


def _search_item(world: World, query: str, request: ToolRequest, seen: set[str]) -> ToolItem:
    results = world.searches.get(query, ())
    if request.ask.profile == "training":
        results = formatting.for_training(results, seen)
    if not results:
        return ToolItem("search", query, ok=True, status="none", results=[], text=formatting.no_results_text(query))
    return ToolItem(
        "search",
        query,
        ok=True,
        provider="scripted",
        status="found",
        results=[{"title": result.title, "url": result.link} for result in results],
        text=formatting.search_text(query, results, request.ask.profile),
    )


def _page_item(world: World, url: str, goal: str) -> ToolItem:
    page = world.pages.get(url)
    if page is None:
        text = formatting.page_text(url, goal, *formatting.UNREACHABLE)
        return ToolItem("page", url, ok=False, status="missing", text=text)
    evidence, summary = page
    return ToolItem(
        "page",
        url,
        ok=True,
        provider="scripted",
        status="found",
        extracted={"rational": "", "evidence": evidence, "summary": summary},
        text=formatting.page_text(url, goal, evidence, summary),
    )
