"""The tool proxy: one call of the model in, the text that it reads out. Implements `tools.port.Tools`.

Owns: which tool a name means, and the life of what the tools share. Refuses to know: jobs, HTTP, providers' wires.
Above: the orchestrator, `tools.server`, the CLI. `tools.assembly` puts one together from the settings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from literesearcher.timing.clock import Clock
from literesearcher.tools.arguments import UnusableArguments, search_queries, visit_pages
from literesearcher.tools.cache import Reuse
from literesearcher.tools.port import ToolRequest, ToolResult
from literesearcher.tools.search import SearchTool
from literesearcher.tools.visit import VisitTool


class ToolProxy:
    """Search and visit in this process."""

    def __init__(
        self,
        *,
        search: SearchTool,
        visit: VisitTool,
        reuse: Reuse,
        clock: Clock,
        closers: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._search = search
        self._visit = visit
        self._reuse = reuse
        self._clock = clock
        self._closers = tuple(closers)

    async def call(self, request: ToolRequest) -> ToolResult:
        """Carry out one call within `request.timeout_seconds`; parts that are not there by then read as failed."""
        started = self._clock.monotonic()
        try:
            if request.name == "search":
                text, items = await self._search.run(
                    search_queries(request.arguments),
                    tenant_id=request.tenant_id,
                    profile=request.profile,
                    timeout_seconds=request.timeout_seconds,
                )
            elif request.name == "visit":
                urls, goal = visit_pages(request.arguments)
                text, items = await self._visit.run(
                    urls,
                    goal,
                    tenant_id=request.tenant_id,
                    profile=request.profile,
                    timeout_seconds=request.timeout_seconds,
                )
            else:
                return ToolResult(f"Error: Tool {request.name} not found")
        except UnusableArguments as error:
            return ToolResult(error.message)
        return ToolResult(text, items, self._clock.monotonic() - started)

    async def aclose(self) -> None:
        """Cancel what is under way and close every connection. Safe to call twice."""
        await self._reuse.aclose()
        for close in self._closers:
            await close()
