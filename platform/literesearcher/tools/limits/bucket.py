"""The token bucket: how often something may be asked, shared fairly between tenants. The port, and its form in process.

Owns: rate, burst, pause, and whose turn it is. Refuses to know: who waits (`limits.rate`), what is asked. Below:
`limits.shared_bucket` is the same over Redis.

Whose turn it is follows start-time fair queueing: each token that a tenant gets moves the tenant's own time on by one,
and the tenant that is furthest behind is next. A tenant that returns starts at the time of those being served, so that
nobody saves up turns by being idle, and a tenant alone gets the whole rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from literesearcher.timing.clock import Clock

MAX_PAUSE_SECONDS = 600.0
"""A longer Retry-After is asked again after so long: nobody shall be shut out for a day by one odd answer."""
_SLIVER = 1e-9
"""Of a token; what rounding may cost."""


@dataclass(frozen=True, slots=True)
class Granted:
    """Tokens by tenant, and the seconds after which asking for the rest makes sense; 0 where there is no rest."""

    tokens: Mapping[str, int]
    wait_seconds: float
    paused: bool = False


class Bucket(Protocol):
    """Never more than burst + per_second * t tokens in any t seconds."""

    async def take(self, wants: Mapping[str, int], *, patient: bool = True) -> Granted:
        """As many of the wanted tokens as there are. `patient` False: who gets none will not come again for them."""
        ...

    async def pause(self, seconds: float) -> None:
        """Nobody gets a token for so long, and no burst after it."""
        ...


class LocalBucket:
    """The bucket of one process."""

    def __init__(self, *, per_second: float, burst: int, clock: Clock) -> None:
        self.per_second = per_second
        self.burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock.monotonic()
        self._paused_until = -math.inf
        self._now_serving = 0.0
        self._ahead: dict[str, float] = {}  # tenants whose own time is past `_now_serving`

    @property
    def paused_seconds(self) -> float:
        """What is left of a pause."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    def least_wait(self, number: int) -> float:
        """Seconds until that many tokens can have been given out."""
        self._refill()
        return max(self.paused_seconds, (number - self._tokens) / self.per_second, 0.0)

    def spend(self, tokens: int) -> None:
        """Tokens that another bucket gave out for the same purpose."""
        self._refill()
        self._tokens = max(0.0, self._tokens - tokens)

    def take_now(self, wants: Mapping[str, int]) -> Granted:
        """See `Bucket.take`."""
        paused = self.paused_seconds
        if paused > 0:
            return Granted({}, paused, paused=True)
        self._refill()
        left = {tenant_id: number for tenant_id, number in wants.items() if number > 0}
        given: dict[str, int] = {}
        before = self._now_serving
        while left and self._tokens >= 1 - _SLIVER:
            tenant_id = min(left, key=self._time_of)
            self._now_serving = self._time_of(tenant_id)
            self._ahead[tenant_id] = self._now_serving + 1
            self._tokens = max(0.0, self._tokens - 1)
            given[tenant_id] = given.get(tenant_id, 0) + 1
            left[tenant_id] -= 1
            if not left[tenant_id]:
                del left[tenant_id]
        if self._now_serving > before:
            self._ahead = {one: time for one, time in self._ahead.items() if time > self._now_serving}
        return Granted(given, (1 - self._tokens) / self.per_second if left else 0.0)

    async def take(self, wants: Mapping[str, int], *, patient: bool = True) -> Granted:
        """See `Bucket`."""
        return self.take_now(wants)

    async def pause(self, seconds: float) -> None:
        """See `Bucket`."""
        self.pause_now(seconds)

    def pause_now(self, seconds: float) -> None:
        """See `Bucket.pause`. A pause under way is never cut short."""
        until = self._clock.monotonic() + min(seconds, MAX_PAUSE_SECONDS)
        if until > self._paused_until:
            self._refill()
            self._paused_until = self._at = until
            self._tokens = min(self._tokens, 1.0)

    def _refill(self) -> None:
        now = self._clock.monotonic()
        if now > self._at:
            self._tokens = min(float(self.burst), self._tokens + (now - self._at) * self.per_second)
            self._at = now

    def _time_of(self, tenant_id: str) -> float:
        return max(self._now_serving, self._ahead.get(tenant_id, 0.0))
