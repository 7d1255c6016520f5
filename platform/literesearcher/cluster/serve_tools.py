"""The tools over a handle of the application `tools`: implements `tools.port.Tools` for orchestrators.

Owns: one try a call, its deadline, cancellation, the remembered price list. Refuses to know: what tools do, retries.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from literesearcher.cluster.serve_failures import FAILURES, lost_call
from literesearcher.errors import BoundaryError, LiteResearcherError
from literesearcher.tools.port import ToolRequest, ToolResult

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

GRACE_SECONDS = 10.0
"""Beyond the call's own deadline, at which the proxy answers with what it has."""
PRICES_SECONDS = 30.0


class ServeTools:
    """The replicas of the tool proxy as one."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle
        self._prices: dict[str, float] | None = None

    async def call(self, request: ToolRequest) -> ToolResult:
        """One call. `BoundaryError` `tools_unreachable` (never sent), `tools_lost`, `tools_timeout` (nobody knows
        whether it was carried out), `tools_busy` or `tools_error`."""
        result: ToolResult = await self._ask(
            self._handle.call.remote(request), request.ask.timeout_seconds + GRACE_SECONDS
        )
        return result

    async def prices(self) -> dict[str, float]:
        """From a replica, asked once. Raises as `call`."""
        if self._prices is None:
            self._prices = await self._ask(self._handle.prices.remote(), PRICES_SECONDS)
        return dict(self._prices)

    async def aclose(self) -> None:
        """The handle belongs to the process."""

    async def _ask(self, response: Any, seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                answer = await response
        except FAILURES as error:
            # A redeployed proxy may have other prices.
            self._prices = None
            raise lost_call(error, "the tool proxy", room="tools") from error
        except TimeoutError:
            raise BoundaryError("the tool proxy took too long", code="tools_timeout", transient=True) from None
        finally:
            response.cancel()
        if isinstance(answer, LiteResearcherError):
            raise answer
        return answer
