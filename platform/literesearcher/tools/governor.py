"""Every request to a provider goes through here: may it go out now, how often is it tried, what did it cost.

Owns: tries, waits, caps, breakers, hedges, the price list and the tally. Refuses to know: what is asked, texts, caches.
Above: `tools.search`, `tools.fetch_chain`. Below: one provider.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from literesearcher.errors import BoundaryError
from literesearcher.research.events import ToolTry
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock
from literesearcher.timing.retry import retrying
from literesearcher.tools.providers.port import Provider

T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """The requests made for one item, as they end."""

    tries: list[ToolTry] = field(default_factory=list)

    @property
    def cost_usd(self) -> float:
        """By the price list."""
        return sum(one.cost_usd for one in self.tries)


class Governor:
    """One a process, shared by all providers."""

    def __init__(self, *, clock: Clock, metrics: ToolMetrics, prices: Mapping[str, float] | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._prices = dict(prices or {})

    def price(self, provider: str) -> float:
        """USD of one request."""
        return self._prices.get(provider, 0.0)

    async def call(
        self,
        provider: Provider,
        once: Callable[[float], Awaitable[T]],
        *,
        tenant_id: str,
        timeout_seconds: float,
        tally: Tally,
        host: str = "",
    ) -> T:
        """The provider's answer, tried by `provider.policy`. `once(seconds)` is one request within so many seconds.

        `host` is the target site of a page, "" for a search. Raises what the last request raised.
        """
        deadline = self._clock.monotonic() + timeout_seconds

        async def one() -> T:
            started = self._clock.monotonic()
            outcome, cost = "cancelled", self.price(provider.id)
            try:
                answer = await once(max(0.001, deadline - started))
                outcome = "ok"
                return answer
            except BoundaryError as error:
                outcome, cost = error.code, 0.0
                raise
            finally:
                seconds = self._clock.monotonic() - started
                tally.tries.append(ToolTry(provider.id, outcome, seconds, cost))
                self._metrics.provider_requests.labels(provider.id, outcome).inc()
                self._metrics.provider_seconds.labels(provider.id).observe(seconds)
                self._metrics.provider_cost.labels(provider.id).inc(cost)

        return await retrying(one, policy=provider.policy, clock=self._clock, deadline=deadline)

    async def aclose(self) -> None:
        """Safe to call twice."""
