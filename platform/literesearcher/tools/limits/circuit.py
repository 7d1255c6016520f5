"""The breakers of one provider: one for everybody, and one for each tenant whose pages fail in a row.

Owns: for whom a failure opens which, and that an answer to anybody closes all. Refuses to know: what is asked, how many
failures it takes (`limits.breaker`, below). Above: `limits.errand`.

A reader opens what the model names, and the model names what a tenant's pages talk it into. So what one tenant alone
meets shuts the reader to that tenant; only when another tenant meets it too is it shut to everybody.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock
from literesearcher.tools.limits.breaker import Breaker, Origin, Verdict

MOST_TENANTS = 1024
"""Whose failures are remembered; beyond it the oldest are forgotten."""


class Opened(Enum):
    """For whom a report opened a breaker."""

    NOBODY = "nobody"
    TENANT = "tenant"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Ticket:
    """From `admit`, for `report`: whose request it is, and the age of what it was let through by."""

    origin: Origin
    age: int
    own_age: int


class Circuit:
    """`shown(True)` while a breaker is open, for all or for one tenant."""

    def __init__(
        self, name: str, *, failures: int, seconds: float, clock: Clock, shown: Callable[[bool], None]
    ) -> None:
        self._name = name
        self._failures = failures
        self._seconds = seconds
        self._clock = clock
        self._shown = shown
        self._own: OrderedDict[str, Breaker] = OrderedDict()
        self._all = self._made(shared=True)

    def refusal(self, tenant_id: str) -> BoundaryError | None:
        """Why this tenant may not ask, None where it may."""
        own = self._own.get(tenant_id)
        return self._all.refusal() or (own.refusal() if own is not None else None)

    def admit(self, origin: Origin) -> Ticket:
        """A ticket for `report`, which must follow; raises the refusal."""
        refusal = self.refusal(origin.tenant_id)
        if refusal is not None:
            raise refusal
        own = self._own.get(origin.tenant_id)
        return Ticket(origin, self._all.admit(), own.admit() if own is not None else 0)

    def report(self, ticket: Ticket, found: Verdict, retry_after: float | None = None) -> Opened:
        """How the request ended, and for whom that opened a breaker."""
        origin, current, probed = ticket.origin, ticket.age == self._all.age, self._all.is_open
        opened = self._all.report(ticket.age, found, retry_after, origin)
        if found is Verdict.ALIVE:
            if current and self._own:
                self._own.clear()
                self._show()
            return Opened.NOBODY
        own = self._own.get(origin.tenant_id)
        if own is None and origin.site and found is not Verdict.UNKNOWN:
            own = self._remembered(origin.tenant_id)
        opened_own = own is not None and own.report(ticket.own_age, found, retry_after, origin)
        if opened and probed and own is not None:
            # It would else be next to try again, and with bad URLs keep the reader shut to all.
            own.open_for(2 * self._seconds)
        if opened:
            return Opened.ALL
        return Opened.TENANT if opened_own else Opened.NOBODY

    def _remembered(self, tenant_id: str) -> Breaker:
        if len(self._own) >= MOST_TENANTS:
            self._own.popitem(last=False)
        own = self._own[tenant_id] = self._made(shared=False)
        return own

    def _made(self, *, shared: bool) -> Breaker:
        return Breaker(
            self._name,
            failures=self._failures,
            seconds=self._seconds,
            clock=self._clock,
            shown=lambda _: self._show(),
            shared=shared,
        )

    def _show(self) -> None:
        self._shown(self._all.is_open or any(own.is_open for own in self._own.values()))
