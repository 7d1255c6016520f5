"""Every request to a provider goes through here: may it go out now, how often is it tried, what did it cost.

Owns: each provider's gate, tries, the price list and the tally. Refuses to know: what is asked, texts, caches, how
limits work (`tools.limits`). Above: `tools.search`, `tools.pages.fetch_chain`. Below: `limits.errand`, one provider.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from literesearcher.errors import BoundaryError
from literesearcher.research.events import ToolTry
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock
from literesearcher.timing.retry import retrying
from literesearcher.tools.limits.circuit import Circuit
from literesearcher.tools.limits.errand import Errand, Gate
from literesearcher.tools.limits.hedging import Pace
from literesearcher.tools.limits.lanes import Lanes, Limit
from literesearcher.tools.limits.site_pauses import SitePauses
from literesearcher.tools.providers.port import Provider, SiteRefused
from literesearcher.tools.redis_link import RedisLink
from literesearcher.tools.sources.domains import registrable

T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """The requests made for one item, as they end."""

    tries: list[ToolTry] = field(default_factory=list)

    @property
    def cost_usd(self) -> float:
        """By the price list."""
        return sum(one.cost_usd for one in self.tries)


@dataclass(frozen=True, slots=True)
class Rules:
    """What limits requests. A provider without a limit is not limited, has no breaker and is never asked twice."""

    providers: Mapping[str, Limit] = field(default_factory=dict)
    site: Limit | None = None
    hedge: bool = True
    breaker_failures: int = 8
    breaker_seconds: float = 20.0


class Governor:
    """One a process, shared by all providers. `link` stays its owner's to close."""

    def __init__(
        self,
        *,
        clock: Clock,
        metrics: ToolMetrics,
        prices: Mapping[str, float] | None = None,
        rules: Rules | None = None,
        link: RedisLink | None = None,
    ) -> None:
        rules = rules or Rules()
        self._clock = clock
        self._metrics = metrics
        self._prices = dict(prices or {})
        self._hedge = rules.hedge
        self._lanes = Lanes(clock=clock, link=link, site=rules.site)
        self._pauses = SitePauses(clock=clock)
        self._gates: dict[str, Gate] = {}
        for provider, limit in rules.providers.items():
            circuit = Circuit(
                provider,
                failures=rules.breaker_failures,
                seconds=rules.breaker_seconds,
                clock=clock,
                shown=metrics.breaker_open.labels(provider).set,
            )
            self._gates[provider] = Gate(self._lanes.of_provider(provider, limit), circuit, Pace())

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

        `host` is the target site of a page, "" for a search. Raises what the last request raised, or a `BoundaryError`
        for one that was not sent: `provider_open` (or the reason: `provider_quota`, `provider_unauthorized`) while the
        breaker is open, `provider_busy` where a wait would pass the deadline.
        """
        deadline = self._clock.monotonic() + timeout_seconds
        gate = self._gates.get(provider.id)
        errand = Errand(
            clock=self._clock,
            metrics=self._metrics,
            provider=provider.id,
            price=self.price(provider.id),
            gate=gate,
            site=self._lanes.of_site(host) if gate is not None else None,
            pauses=self._pauses,
            hedge=self._hedge,
            once=once,
            tenant_id=tenant_id,
            host=host,
            deadline=deadline,
            tries=tally.tries,
        )
        return await retrying(errand.attempt, policy=provider.policy, clock=self._clock, deadline=deadline)

    @asynccontextmanager
    async def crossing(
        self, provider: str, *, tenant_id: str, asked: str, host: str, seconds: float
    ) -> AsyncIterator[None]:
        """See `providers.port.Crossing`: a redirect passes the limits of the site to which it leads, as a page of that
        site does. The place of the site that was asked for is held already, so none is taken there."""
        if self._pauses.left(tenant_id, host) > 0:
            raise SiteRefused("the site asked to wait", host=host, code="page_status")
        lane = self._lanes.of_site(host) if registrable(host) != registrable(asked) else None
        if lane is None:
            yield
            return
        try:
            await lane.enter(
                tenant_id,
                self._clock.monotonic() + seconds,
                patient=True,
                waited=lambda reason, wait: self._metrics.provider_wait_seconds.labels(provider, reason).observe(wait),
            )
        except BoundaryError as error:
            if error.code != "provider_busy":
                raise
            # Of the site's turn, not of the provider: nobody shall be sent away from that.
            raise BoundaryError("the site that the page leads to has no turn in time", code="page_timeout") from None
        try:
            yield
        finally:
            lane.leave(tenant_id)

    async def aclose(self) -> None:
        """Whoever waits gets `tools_closed`. Safe to call twice."""
        for gate in self._gates.values():
            await gate.lane.aclose()
        await self._lanes.aclose()
