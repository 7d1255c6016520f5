"""When one request takes longer than nearly all before it, a second one beside it; the first success wins.

Owns: how long requests usually take, how many seconds there may be, the race. Refuses to know: what is asked, caps,
costs. Above: `tools.governor`.
"""

from __future__ import annotations

import asyncio
import bisect
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeVar

from literesearcher.timing.clock import Clock

T = TypeVar("T")

WINDOW = 128
LEAST = 20
"""With fewer a 95th percentile is a guess."""
LEAST_SECONDS = 0.1
"""Nothing that ends sooner is worth the price of a second request."""
SHARE = 0.1
"""Seconds per request at most: a provider that became slow as a whole shall not get twice the load."""
SAVED = 5.0
"""Seconds that a quiet time may save up."""


class Pace:
    """How long a provider's last answers took, and how many more second requests it may get."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self._credit = 0.0

    def answered(self, seconds: float) -> None:
        """One request was answered in so many seconds."""
        if len(self._recent) == WINDOW:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(seconds)
        bisect.insort(self._sorted, seconds)

    def begun(self) -> None:
        """One first request began."""
        self._credit = min(SAVED, self._credit + SHARE)

    def patience(self) -> float | None:
        """Seconds that 95 of 100 answers took at most, but `LEAST_SECONDS`; None where too few are known."""
        if len(self._sorted) < LEAST:
            return None
        return max(LEAST_SECONDS, self._sorted[math.ceil(0.95 * len(self._sorted)) - 1])

    def may_hedge(self) -> bool:
        """One second request is taken from the account, if there is one."""
        if self._credit < 1.0 - 1e-9:
            return False
        self._credit -= 1.0
        return True


async def hedged(
    first: Callable[[], Coroutine[Any, Any, T]],
    second: Callable[[], Coroutine[Any, Any, T]],
    *,
    after_seconds: float,
    may_hedge: Callable[[], bool],
    clock: Clock,
) -> tuple[T, Literal["first", "second"]]:
    """The first success. Raises what `first` raised where neither succeeds; the loser is cancelled, and has ended."""
    one = asyncio.ensure_future(first())
    timer = asyncio.ensure_future(clock.sleep(after_seconds))
    tasks = [one]
    try:
        await asyncio.wait((one, timer), return_when=asyncio.FIRST_COMPLETED)
        if one.done() or not may_hedge():
            return await one, "first"
        two = asyncio.ensure_future(second())
        tasks.append(two)
        running: set[asyncio.Future[T]] = {one, two}
        while running:
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            if _succeeded(one):
                return one.result(), "first"
            if _succeeded(two):
                return two.result(), "second"
        return one.result(), "first"
    finally:
        timer.cancel()
        left = [task for task in tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.gather(*left, return_exceptions=True)
        for task in tasks:
            _succeeded(task)  # its failure is seen, also where nobody asks for it


def _succeeded(task: asyncio.Future[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
