"""The application `tools`: the tool proxy in replicas.

Owns: its opening and closing, that the concurrent calls of one replica share it, and how many they are.
Refuses to know: what tools do.
Caller: `cluster.serve_tools`. Results and refusals are values, since an exception would be wrapped on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from literesearcher.cluster.scaling.queue_policies import ToolsLoad
from literesearcher.cluster.scaling.records import tools_record
from literesearcher.errors import LiteResearcherError
from literesearcher.tools.port import ToolRequest, ToolResult, Tools


@dataclass(frozen=True, slots=True)
class OpenedTools:
    """What a replica holds. `headroom`: what providers' limits leave of late, as `ToolsLoad` has it."""

    tools: Tools
    headroom: Callable[[], float]


OpenTools = Callable[[], AbstractAsyncContextManager[OpenedTools]]


class ToolsReplica:
    """One replica, open from its start to its stop."""

    async def __init__(self, opening: OpenTools) -> None:  # type: ignore[misc]  # Serve awaits it.
        self._opened = opening()
        held = await self._opened.__aenter__()
        self._tools, self._headroom = held.tools, held.headroom
        self._in_flight = 0

    async def call(self, request: ToolRequest) -> ToolResult | LiteResearcherError:
        """One call of the model."""
        self._in_flight += 1
        try:
            return await self._tools.call(request)
        except LiteResearcherError as error:
            return error
        finally:
            self._in_flight -= 1

    async def prices(self) -> dict[str, float] | LiteResearcherError:
        """The operator's price list."""
        try:
            return await self._tools.prices()
        except LiteResearcherError as error:
            return error

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What the scaling policy reads in the controller."""
        return tools_record(ToolsLoad(self._in_flight, self._headroom()))

    async def __del__(self) -> None:
        """Serve has waited for the calls that ran."""
        await self._opened.__aexit__(None, None, None)
