"""The way of one call to a provider and back: one try is a request, or two where the first is slow.

Owns: the order of what a request passes, what its end means for the gate, the entry in the tally. Refuses to know: what
is asked, how limits work, how often is tried (`tools.governor`). Below: the other modules of `tools.limits`.

A request passes, in this order: the provider's breaker and pause, what the host asked the tenant to wait for, the
site's lane (pages), the provider's lane, and the breaker once more. The site comes before the provider so that whoever
waits for a slow site holds nothing that everybody needs. Without a gate, which is the local corpus, it passes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from literesearcher.errors import BoundaryError, LiteResearcherError
from literesearcher.research.events import ToolTry
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock
from literesearcher.tools.limits.breaker import Origin, Verdict, verdict
from literesearcher.tools.limits.circuit import Circuit, Opened
from literesearcher.tools.limits.hedging import Pace, hedged
from literesearcher.tools.limits.lanes import Lane
from literesearcher.tools.limits.rate import busy
from literesearcher.tools.limits.site_pauses import SitePauses
from literesearcher.tools.providers.port import FetchedPage, SearchAnswer, SiteRefused
from literesearcher.tools.sources.domains import registrable

T = TypeVar("T")

_FREE = frozenset(
    {
        "provider_busy",
        "provider_error",
        "provider_unreachable",
        "provider_unauthorized",
        "provider_quota",
        "provider_rejected",
    }
)
"""Failures for which no provider charges. What was sent and not seen to fail so (cancelled, timed out, garbage) may be
charged, so it counts."""


@dataclass(slots=True)
class Gate:
    """One provider's lane, breakers and pace."""

    lane: Lane
    circuit: Circuit
    pace: Pace


@dataclass(slots=True, kw_only=True)
class Errand(Generic[T]):
    """One call of `Governor.call`; `tries` gets one entry a request."""

    clock: Clock
    metrics: ToolMetrics
    provider: str
    price: float
    gate: Gate | None
    site: Lane | None
    pauses: SitePauses
    hedge: bool
    once: Callable[[float], Awaitable[T]]
    tenant_id: str
    host: str
    deadline: float
    tries: list[ToolTry]
    origin: Origin = field(init=False)

    def __post_init__(self) -> None:
        self.origin = Origin(self.tenant_id, registrable(self.host) if self.host else "")

    async def attempt(self) -> T:
        """One try: a request, or two where the first is slow."""
        gate = self.gate
        if gate is None:
            return await self._send()
        began = self.clock.monotonic()
        try:
            await self._enter(gate, patient=True)
        except BoundaryError as error:
            self._note(error.code, self.clock.monotonic() - began, 0.0)
            raise
        try:
            patience = gate.pace.patience() if self.hedge else None
            gate.pace.begun()
            if patience is None or self.clock.monotonic() + patience >= self.deadline:
                return await self._send()
            return await self._hedged(gate, patience)
        finally:
            self._leave(gate)

    async def _hedged(self, gate: Gate, patience: float) -> T:
        sent = won = False

        async def second() -> T:
            nonlocal sent
            await self._enter(gate, patient=False)
            try:
                sent = True
                return await self._send()
            finally:
                self._leave(gate)

        try:
            answer, winner = await hedged(
                self._send, second, after_seconds=patience, may_hedge=gate.pace.may_hedge, clock=self.clock
            )
            won = winner == "second"
            return answer
        finally:
            if sent:
                self.metrics.hedges.labels(self.provider, "won" if won else "lost").inc()

    async def _enter(self, gate: Gate, *, patient: bool) -> None:
        while True:
            refusal = gate.circuit.refusal(self.tenant_id)
            if refusal is not None:
                raise refusal
            gate.lane.rate.refuse_hopeless(self.deadline)
            await self._wait_for_host(patient)
            if self.site is not None:
                await self.site.enter(self.tenant_id, self.deadline, patient=patient, waited=self._waited)
            try:
                await gate.lane.enter(
                    self.tenant_id, self.deadline, patient=patient, waited=self._waited, site=self.origin.site
                )
            except BaseException:
                if self.site is not None:
                    self.site.leave(self.tenant_id)
                raise
            if not gate.lane.rate.paused and not self._host_pause():
                return
            # Somebody was told to wait while this one stood in line.
            self._leave(gate)
            if not patient:
                raise busy(self.provider)

    def _host_pause(self) -> float:
        return self.pauses.left(self.tenant_id, self.host) if self.host else 0.0

    async def _wait_for_host(self, patient: bool) -> None:
        while (wait := self._host_pause()) > 0:
            if self.pauses.is_long(self.tenant_id, self.host):
                # Not transient: who owns retries would wait for it.
                raise BoundaryError("the site asks to stay away for long", code="provider_busy")
            if not patient or self.clock.monotonic() + wait >= self.deadline:
                raise busy("the site", wait)
            await self.clock.sleep(wait)
            self._waited("retry_after", wait)

    def _leave(self, gate: Gate) -> None:
        gate.lane.leave(self.tenant_id, self.origin.site)
        if self.site is not None:
            self.site.leave(self.tenant_id)

    async def _send(self) -> T:
        gate, started = self.gate, self.clock.monotonic()
        try:
            ticket = gate.circuit.admit(self.origin) if gate is not None else None
        except BoundaryError as error:
            self._note(error.code, 0.0, 0.0)
            raise
        given = max(0.001, self.deadline - started)
        outcome, cost, found = "cancelled", self.price, Verdict.UNKNOWN
        retry_after: float | None = None
        try:
            answer = await self.once(given)
            outcome, found = _outcome(answer), Verdict.ALIVE
            if gate is not None:
                gate.pace.answered(self.clock.monotonic() - started)
            return answer
        except BoundaryError as error:
            outcome, found, retry_after = error.code, verdict(error, given), error.retry_after
            cost = 0.0 if error.code in _FREE else cost
            if gate is not None and retry_after and found in (Verdict.ALIVE, Verdict.DOWN):
                await self._pause(gate, error, retry_after)
            raise
        except LiteResearcherError as error:
            # A target that may not be fetched: nothing was sent.
            outcome, cost = error.code, 0.0
            raise
        finally:
            seconds = self.clock.monotonic() - started
            self._note(outcome, seconds, cost)
            self.metrics.provider_seconds.labels(self.provider).observe(seconds)
            if gate is not None and ticket is not None:
                self._tell(gate, gate.circuit.report(ticket, found, retry_after))

    def _tell(self, gate: Gate, opened: Opened) -> None:
        """Whoever waits for a token of a provider that was shut learns so at once."""
        refusal = gate.circuit.refusal(self.tenant_id) if opened is not Opened.NOBODY else None
        if refusal is not None:
            gate.lane.rate.refuse_all(refusal, None if opened is Opened.ALL else self.tenant_id)

    async def _pause(self, gate: Gate, error: BoundaryError, seconds: float) -> None:
        """What a provider said all obey; what a page's host said, the tenant that was sent there."""
        if not error.code.startswith("page_"):
            await gate.lane.rate.pause(seconds)
        elif self.host:
            host = error.host if isinstance(error, SiteRefused) else self.host
            self.pauses.begin(self.tenant_id, host, seconds)

    def _waited(self, reason: str, seconds: float) -> None:
        self.metrics.provider_wait_seconds.labels(self.provider, reason).observe(seconds)

    def _note(self, outcome: str, seconds: float, cost: float) -> None:
        self.tries.append(ToolTry(self.provider, outcome, seconds, cost))
        self.metrics.provider_requests.labels(self.provider, outcome).inc()
        if cost:
            self.metrics.provider_cost.labels(self.provider).inc(cost)


def _outcome(answer: object) -> str:
    empty = (isinstance(answer, SearchAnswer) and not answer.results) or (
        isinstance(answer, FetchedPage) and not answer.text
    )
    return "empty" if empty else "ok"
