"""The tool proxy: one call of the model in, the text that it reads out. Implements `tools.port.Tools`.

Owns: which tool a name means, and the life of what the tools share. Refuses to know: jobs, HTTP, providers' wires.
Above: the orchestrator, `tools.service.app`, the CLI. `tools.assembly` puts one together from the settings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from literesearcher.research.tool_options import Fidelity
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock
from literesearcher.tools.arguments import UnusableArguments, search_queries, visit_pages
from literesearcher.tools.cache.results import ResultCache
from literesearcher.tools.port import Ask, ToolRequest, ToolResult
from literesearcher.tools.search import SearchTool
from literesearcher.tools.visit import VisitTool


class ToolProxy:
    """Search and visit in this process."""

    def __init__(
        self,
        *,
        search: SearchTool,
        visit: VisitTool,
        cache: ResultCache,
        clock: Clock,
        metrics: ToolMetrics,
        prices: Mapping[str, float],
        fidelity: Fidelity,
        closers: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._search = search
        self._visit = visit
        self._cache = cache
        self._clock = clock
        self._metrics = metrics
        self._prices = dict(prices)
        self._fidelity = fidelity
        self._closers = tuple(closers)

    async def call(self, request: ToolRequest) -> ToolResult:
        """Carry out one call within `request.ask.timeout_seconds`; parts that are not there by then read as failed."""
        started = self._clock.monotonic()
        ask = self._terms(request.ask)
        try:
            if request.name == "search":
                text, items = await self._search.run(search_queries(request.arguments), ask=ask)
            elif request.name == "visit":
                urls, goal = visit_pages(request.arguments)
                text, items = await self._visit.run(urls, goal, ask=ask)
            else:
                self._metrics.calls.labels("unknown", "refused").inc()
                return ToolResult(f"Error: Tool {request.name} not found")
        except UnusableArguments as error:
            self._metrics.calls.labels(request.name, "refused").inc()
            return ToolResult(error.message)
        elapsed = self._clock.monotonic() - started
        self._metrics.calls.labels(request.name, "ok" if any(item.ok for item in items) else "failed").inc()
        self._metrics.call_seconds.labels(request.name).observe(elapsed)
        for item in items:
            self._metrics.items.labels(item.kind, item.status or "found").inc()
            if item.status == "refused":
                self._metrics.refusals.labels("guard").inc()
            for reason, count in item.left_out.items():
                self._metrics.refusals.labels(reason).inc(count)
        return ToolResult(text, items, elapsed)

    def _terms(self, ask: Ask) -> Ask:
        """With its fidelity settled: what training read was as published, nothing may improve on it."""
        fidelity = "published" if ask.profile == "training" else ask.fidelity or self._fidelity
        return ask if fidelity == ask.fidelity else replace(ask, fidelity=fidelity)

    async def prices(self) -> dict[str, float]:
        """USD that a query and a page may cost at most: every listed provider asked once."""
        return dict(self._prices)

    async def aclose(self) -> None:
        """Cancel what is under way and close every connection. Safe to call twice."""
        await self._cache.aclose()
        for close in self._closers:
            await close()
