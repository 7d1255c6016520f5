"""What hosts of pages asked to wait for (`Retry-After`), for the tenant that was told.

Owns: how long, for whom, what is forgotten. Refuses to know: requests, redirects. Above: `limits.errand`,
`tools.governor`. Anybody may have a host, and one name may be shared by many owners: what it says binds the tenant that
was sent there, for a minute at most, and nobody else.
"""

from __future__ import annotations

from collections import OrderedDict

from literesearcher.timing.clock import Clock

MAX_SECONDS = 60.0
"""Nobody waits for a host that asks for more; but it is asked again after so long."""
MOST_PAUSES = 4096
"""That are kept; beyond it the oldest are forgotten."""


class SitePauses:
    """Of one process, whichever provider fetches."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._told: OrderedDict[tuple[str, str], tuple[float, bool]] = OrderedDict()

    def begin(self, tenant_id: str, host: str, seconds: float) -> None:
        """The host (exactly this one) told the tenant to wait. A pause under way is never cut short."""
        key = _key(tenant_id, host)
        told = self._clock.monotonic() + min(seconds, MAX_SECONDS), seconds > MAX_SECONDS
        self._told[key] = max(told, self._told.pop(key, told))
        if len(self._told) > MOST_PAUSES:
            self._told.popitem(last=False)

    def left(self, tenant_id: str, host: str) -> float:
        """Seconds, 0 where there is none."""
        key = _key(tenant_id, host)
        left = self._told.get(key, (0.0, False))[0] - self._clock.monotonic()
        if left <= 0:
            self._told.pop(key, None)
        return max(0.0, left)

    def is_long(self, tenant_id: str, host: str) -> bool:
        """Did the host ask for more than anybody waits for?"""
        return self._told.get(_key(tenant_id, host), (0.0, False))[1]


def _key(tenant_id: str, host: str) -> tuple[str, str]:
    return tenant_id, host.lower().rstrip(".")
