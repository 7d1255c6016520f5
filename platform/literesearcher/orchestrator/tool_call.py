"""One tool call with its retries: a command of the machine in, the event of its result out.

Owns: retries of an unreachable tool proxy, the call's deadline, its terms and its cost, counting what the result adds
to the prompt. Refuses to know: the journal, which tools there are, how a page is fetched, budgets.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

from literesearcher.engine.port import Engine
from literesearcher.errors import BoundaryError
from literesearcher.orchestrator.lease import Lease
from literesearcher.orchestrator.model_call import DEADLINE_SLACK_SECONDS, failure
from literesearcher.research.commands import CallTool, Respond
from literesearcher.research.events import EffectFailed, ToolCompleted
from literesearcher.research.messages import Profile
from literesearcher.research.opening import tool_message
from literesearcher.research.tool_accounts import sum_usd
from literesearcher.research.tool_options import DEFAULT_OPTIONS, ToolOptions
from literesearcher.timing.clock import Clock
from literesearcher.timing.retry import RetryPolicy, retrying
from literesearcher.tools.port import Ask, ToolRequest, ToolResult, Tools

POLICY = RetryPolicy(tries=14, max_seconds=15.0)
"""The proxy retries its providers itself; only the way to the proxy is tried again here, for the minute or two in which
one that died is started again."""
TIMEOUT_SECONDS = 600.0
_LOST = frozenset({"tools_timeout", "tools_lost"})
"""Failures after which nobody knows whether the proxy carried the call out and paid for it."""
LOST_TRIES = 3
"""Each of them may have been paid for."""
INLINE_CHARACTERS = 2_000
"""Up to here counting tokens costs less than handing the text to a thread."""


class ToolCalls:
    """The tool calls of one job."""

    def __init__(self, *, tools: Tools, engine: Engine, clock: Clock, lease: Lease) -> None:
        self._tools = tools
        self._engine = engine
        self._clock = clock
        self._lease = lease

    async def prices(self) -> dict[str, float]:
        """The operator's price list, asked as patiently as a call. `BoundaryError` where the proxy gives none."""
        deadline = self._clock.monotonic() + self._lease.deadline - self._clock.now().timestamp()
        prices = await retrying(self._tools.prices, policy=POLICY, clock=self._clock, deadline=deadline)
        if not all(math.isfinite(price) and price >= 0 for price in prices.values()):
            raise BoundaryError("the tool proxy's price list holds what is no price", code="tools_error")
        return prices

    async def call(
        self,
        command: CallTool,
        *,
        profile: Profile,
        options: ToolOptions = DEFAULT_OPTIONS,
        pages_read: Mapping[str, int] | None = None,
        reserved_on: str = "",
    ) -> ToolCompleted | EffectFailed:
        """Carry the call out. A page or a search that fails is a text; only an unreachable proxy is a failure."""
        started = self._clock.monotonic()
        deadline = started + self._lease.deadline - self._clock.now().timestamp()
        tries = lost = 0

        async def call_once() -> ToolResult:
            nonlocal tries, lost
            tries += 1
            left = deadline - self._clock.monotonic() + DEADLINE_SLACK_SECONDS
            ask = Ask(
                job_id=self._lease.job_id,
                tenant_id=self._lease.job.tenant_id,
                profile=profile,
                timeout_seconds=min(TIMEOUT_SECONDS, left),
                cache=options.cache,
                sources=options.sources,
                fidelity=options.fidelity,
                pages_read=dict(pages_read or {}),
            )
            try:
                return await self._tools.call(ToolRequest(command.name, command.arguments, ask))
            except BoundaryError as error:
                lost += error.code in _LOST
                if lost >= LOST_TRIES:
                    raise BoundaryError(error.message, code=error.code) from None
                raise

        try:
            result = await retrying(call_once, policy=POLICY, clock=self._clock, deadline=deadline)
        except BoundaryError as error:
            return failure(command.turn, error, tries)
        return ToolCompleted(
            turn=command.turn,
            name=command.name,
            arguments=command.arguments,
            text=result.text,
            items=result.items,
            tokens=await self._tokens(result.text),
            elapsed_seconds=self._clock.monotonic() - started,
            cost_usd=sum_usd(result.cost_usd, *[command.reserve_usd] * lost),
            reserved_usd=command.reserve_usd,
            reserved_on=reserved_on,
        )

    async def repeat(self, command: CallTool, before: ToolCompleted) -> ToolCompleted:
        """The same text as the call of before gave. Its items stay with the first event, which is the one to cite."""
        return ToolCompleted(
            turn=command.turn,
            name=command.name,
            arguments=command.arguments,
            text=before.text,
            tokens=before.tokens if before.tokens is not None else await self._tokens(before.text),
            repeats_seq=command.repeats_seq,
        )

    async def respond(self, command: Respond) -> ToolCompleted:
        """The answer to a turn that called no tool."""
        return ToolCompleted(
            turn=command.turn,
            name=command.name,
            arguments={},
            text=command.text,
            tokens=await self._tokens(command.text),
            called=False,
        )

    async def _tokens(self, text: str) -> int | None:
        message = tool_message(text).content
        if len(message) <= INLINE_CHARACTERS:
            return self._engine.count_tokens(message)
        if self._engine.count_tokens("") is None:
            return None
        return await asyncio.to_thread(self._engine.count_tokens, message)
