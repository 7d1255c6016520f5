"""A provider's circuit breaker: after failures in a row nobody asks for a while, then one request may try.

Owns: when it opens and closes, and which failures are the provider's own. Refuses to know: what is asked. Above:
`tools.governor`. A spent quota opens it at once and for longer: asking again would only cost time, and may cost money.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock

SPENT_SECONDS = 60.0
"""Least time that a spent quota or a refused key stays open: an operator who pays or corrects it waits a minute."""
MAX_SPENT_SECONDS = 3600.0
PATIENCE_SECONDS = 5.0
"""A request that was given less and timed out says something about its caller's deadline, not about the provider."""

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


class Breaker:
    """One provider's. `shown(True)` when it opens, `shown(False)` when it closes."""

    def __init__(
        self, name: str, *, failures: int, seconds: float, clock: Clock, shown: Callable[[bool], None]
    ) -> None:
        self._name = name
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._shown = shown
        self._failures = 0
        self._open_until: float | None = None
        self._reason = "provider_open"
        self._probing = False
        self._age = 0  # of the state: what was asked before it changed says nothing about it

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
        return self._age

    def report(self, ticket: int, found: Verdict, retry_after: float | None = None) -> bool:
        """How the request ended. True where that opened the breaker."""
        if ticket != self._age:
            return False
        self._probing = False
        if found is Verdict.UNKNOWN:
            return False
        if found is Verdict.ALIVE:
            self._failures = 0
            if self._open_until is not None:
                self._change(None)
            return False
        self._failures += 1
        if self._open_until is None and self._failures < self._limit and found is not Verdict.SPENT:
            return False
        seconds, self._reason = self._seconds, "provider_open"
        if found is not Verdict.DOWN:
            seconds = min(max(seconds, SPENT_SECONDS, retry_after or 0.0), MAX_SPENT_SECONDS)
            self._reason = "provider_quota" if found is Verdict.SPENT else "provider_unauthorized"
        self._change(self._clock.monotonic() + seconds)
        return True

    def _change(self, open_until: float | None) -> None:
        self._open_until = open_until
        self._age += 1
        self._failures = 0
        self._shown(open_until is not None)
