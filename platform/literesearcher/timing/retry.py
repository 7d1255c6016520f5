"""The one retry owner: a pure decision, and the loop that obeys it. Every client below it makes one try a call.

Only `BoundaryError(transient=True)` is tried again; the server's `retry_after` outranks the back-off; a wait that
would end past the deadline is not begun. The first call that is lost with its replica is made again at once, and
is none of the tries: nothing is wrong with the others. Jitter takes a random share off each back-off, so that jobs do
not march.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from literesearcher.errors import BoundaryError, CallLost
from literesearcher.timing.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`tries` in all; before try i + 1 it waits first_seconds * factor**(i - 1), at most max_seconds."""

    tries: int = 4
    first_seconds: float = 0.5
    factor: float = 2.0
    max_seconds: float = 30.0
    jitter: float = 0.5
    """Share of the back-off that chance may take off, 0 to 1."""

    def wait_after(self, tried: int, error: BoundaryError, chance: float) -> float | None:
        """Seconds to wait after `tried` failed tries, None to give up. `chance` is uniform in [0, 1)."""
        if not error.transient or tried >= self.tries:
            return None
        if error.retry_after is not None:
            return max(0.0, error.retry_after)
        backoff = min(self.max_seconds, self.first_seconds * self.factor ** (tried - 1))
        return backoff * (1.0 - self.jitter * chance)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks to wait: a number or an HTTP date; None where neither can be read."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


async def retrying(
    call: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    clock: Clock,
    deadline: float,
    on_retry: Callable[[int, BoundaryError, float], None] | None = None,
) -> T:
    """Call until it succeeds or the policy gives up; `deadline` is on `clock.monotonic()`. Raises the last error."""
    tried = 0
    lost = False
    while True:
        try:
            return await call()
        except BoundaryError as error:
            if isinstance(error, CallLost) and not lost and clock.monotonic() < deadline:
                lost = True
                if on_retry is not None:
                    on_retry(tried, error, 0.0)
                continue
            tried += 1
            wait = policy.wait_after(tried, error, random.random())
            if wait is None or clock.monotonic() + wait >= deadline:
                raise
            if on_retry is not None:
                on_retry(tried, error, wait)
            await clock.sleep(wait)
