"""The application `tools`: the tool proxy in replicas.

Owns: its opening and closing, and that the concurrent calls of one replica share it. Refuses to know: what tools do.
Caller: `cluster.serve_tools`. Results and refusals are values, since an exception would be wrapped on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from literesearcher.errors import LiteResearcherError
from literesearcher.tools.port import ToolRequest, ToolResult, Tools

OpenTools = Callable[[], AbstractAsyncContextManager[Tools]]


class ToolsReplica:
    """One replica, open from its start to its stop."""

    async def __init__(self, opening: OpenTools) -> None:  # type: ignore[misc]  # Serve awaits it.
        self._opened = opening()
        self._tools = await self._opened.__aenter__()

    async def call(self, request: ToolRequest) -> ToolResult | LiteResearcherError:
        """One call of the model."""
        try:
            return await self._tools.call(request)
        except LiteResearcherError as error:
            return error

    async def prices(self) -> dict[str, float] | LiteResearcherError:
        """The operator's price list."""
        try:
            return await self._tools.prices()
        except LiteResearcherError as error:
            return error

    async def __del__(self) -> None:
        """Serve has waited for the calls that ran."""
        await self._opened.__aexit__(None, None, None)
