"""How many requests of one tenant may be under way at once.

Owns: the count, in this process alone. Refuses to know: what the requests are, HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from literesearcher.errors import CallerError


class Turnstile:
    """Lets `most` in at once, of each tenant."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside: Counter[str] = Counter()

    @contextmanager
    def passed(self, tenant_id: str, weight: int) -> Iterator[None]:
        """Count `weight` requests while the block runs. CallerError: `too_many_requests` where there is no room now,
        `bad_request` where there never is."""
        if weight > self._most:
            raise CallerError(
                f"this is {weight} generations in one request, and {self._most} may be under way at once",
                code="bad_request",
                field="n",
            )
        if self._inside[tenant_id] + weight > self._most:
            raise CallerError(f"{self._most} requests may be under way at once", code="too_many_requests")
        self._inside[tenant_id] += weight
        try:
            yield
        finally:
            self._inside[tenant_id] -= weight
            if not self._inside[tenant_id]:
                del self._inside[tenant_id]
