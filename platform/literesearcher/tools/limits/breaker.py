"""A circuit breaker: after failures in a row nobody asks for a while, then one request may try.

Owns: when it opens and closes, which failures may be the provider's own, how many it takes. Refuses to know: what is
asked. Above: `limits.circuit`, which has one for everybody and one for each tenant. A spent quota opens it at once and
for longer: asking again would only cost time, and may cost money.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock

SPENT_SECONDS = 60.0
"""Least time that a spent quota or a refused key stays open: an operator who pays or corrects it waits a minute."""
MAX_SPENT_SECONDS = 3600.0
PATIENCE_SECONDS = 5.0
"""A request that was given less and timed out says something about its caller's deadline, not about the provider."""

LEAST_SITES = 3
"""A reader that fails for fewer sites may be well, and the sites may not be."""

_DOWN = frozenset({"provider_unreachable", "provider_error", "provider_timeout", "provider_garbage", "provider_busy"})
_REFUSING = frozenset({"provider_quota", "provider_unauthorized"})


class Verdict(Enum):
    """What the end of a request says about its provider."""

    ALIVE = "alive"
    DOWN = "down"
    REFUSED = "refused"
    """The key: one in a row too many opens the breaker, as a failure does, but for longer."""
    SPENT = "spent"
    UNKNOWN = "unknown"


def verdict(error: BoundaryError, given_seconds: float) -> Verdict:
    """Of a failed request that had `given_seconds`. A 4xx, or the failure of one page's site, is an answer."""
    if error.code == "provider_quota":
        return Verdict.SPENT
    if error.code == "provider_unauthorized":
        return Verdict.REFUSED
    if error.code == "provider_busy" and error.retry_after is not None:
        # It is well and says when to come again; the pause sees to that.
        return Verdict.ALIVE
    if error.code == "provider_timeout" and given_seconds < PATIENCE_SECONDS:
        return Verdict.UNKNOWN
    if error.code in _DOWN or (error.transient and error.code.startswith("provider_")):
        return Verdict.DOWN
    return Verdict.ALIVE


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose request it was, and to which site a reader was sent; "" for a search."""

    tenant_id: str = ""
    site: str = ""


class Run:
    """Failures in a row. Those of searches are the engine's own and only counted.

    A reader fails also where its target does, and says so with the same statuses. Its failures are as many as the limit
    only if they come from `LEAST_SITES` sites and, where `shared`, from two tenants, none of which counts for more than
    half: whoever names bad URLs shuts a reader to itself at most.
    """

    def __init__(self, limit: int, *, shared: bool) -> None:
        self._limit = limit
        self._least_tenants = 2 if shared else 1
        self._most_of_one = (limit + 1) // 2 if shared else limit
        self.clear()

    def clear(self) -> None:
        """Something was answered, or the state changed."""
        self._searches = 0
        self._by_tenant: dict[str, int] = {}
        self._sites: set[str] = set()

    def add(self, origin: Origin, found: Verdict) -> bool:
        """One more failure; are they enough? A spent quota is as good as all that it takes, whatever the site."""
        spent = found is Verdict.SPENT
        if not origin.site:
            self._searches += 1
            return spent or self._searches >= self._limit
        if len(self._sites) < LEAST_SITES:
            self._sites.add(origin.site)
        count = self._by_tenant.get(origin.tenant_id, 0) + (self._limit if spent else 1)
        self._by_tenant[origin.tenant_id] = min(count, self._most_of_one)
        return (
            sum(self._by_tenant.values()) >= self._limit
            and len(self._by_tenant) >= self._least_tenants
            and (spent or len(self._sites) >= LEAST_SITES)
        )


class Breaker:
    """`shown(True)` when it opens, `shown(False)` when it closes. `shared`: it opens for several tenants."""

    def __init__(
        self,
        name: str,
        *,
        failures: int,
        seconds: float,
        clock: Clock,
        shown: Callable[[bool], None],
        shared: bool = True,
    ) -> None:
        self._name = name
        self._seconds = seconds
        self._clock = clock
        self._shown = shown
        self._run = Run(failures, shared=shared)
        self._open_until: float | None = None
        self._reason = "provider_open"
        self._probing = False
        self.age = 0
        """Of the state: what was asked before it changed says nothing about it."""

    @property
    def is_open(self) -> bool:
        """Until an answer closes it, also while one request may try."""
        return self._open_until is not None

    def refusal(self) -> BoundaryError | None:
        """Why nobody may ask, None where one may. Never transient: the next provider is asked instead."""
        if self._open_until is None:
            return None
        left = self._open_until - self._clock.monotonic()
        if left <= 0 and not self._probing:
            return None
        said = "" if self._reason == "provider_open" else " refuses the key or the quota is spent and"
        return BoundaryError(f"{self._name}{said} is not asked for {max(0.0, left):.0f} s", code=self._reason)

    def admit(self) -> int:
        """A ticket for `report`; raises the refusal. While it is open and its time is over, the one probe."""
        refusal = self.refusal()
        if refusal is not None:
            raise refusal
        self._probing = self._open_until is not None
        return self.age

    def report(self, ticket: int, found: Verdict, retry_after: float | None = None, origin: Origin = Origin()) -> bool:
        """How the request ended. True where that opened the breaker."""
        if ticket != self.age:
            return False
        self._probing = False
        if found is Verdict.UNKNOWN:
            return False
        if found is Verdict.ALIVE:
            self._run.clear()
            if self._open_until is not None:
                self._change(None)
            return False
        enough = self._run.add(origin, found)
        if self._open_until is None and not enough:
            return False
        seconds, self._reason = self._seconds, "provider_open"
        if found is not Verdict.DOWN:
            seconds = min(max(seconds, SPENT_SECONDS, retry_after or 0.0), MAX_SPENT_SECONDS)
            self._reason = "provider_quota" if found is Verdict.SPENT else "provider_unauthorized"
        self.open_for(seconds)
        return True

    def open_for(self, seconds: float) -> None:
        """Nobody asks for so long."""
        self._change(self._clock.monotonic() + seconds)

    def _change(self, open_until: float | None) -> None:
        self._open_until = open_until
        self.age += 1
        self._run.clear()
        self._shown(open_until is not None)
