"""So many at once and no more, with a line before it.

Owns: the count, who waits. Refuses to know: what is done in a slot. Above: `tools.governor`. Below: `limits.line`. A
slot that falls free is handed to the next waiter, so that nobody who comes later gets it first.
"""

from __future__ import annotations

import asyncio

from literesearcher.timing.clock import Clock
from literesearcher.tools.limits.line import Line
from literesearcher.tools.limits.rate import busy, closed


class Slots:
    """`take` is followed by exactly one `release`, unless it raised."""

    def __init__(self, name: str, number: int, *, clock: Clock) -> None:
        self._name = name
        self._number = number
        self._clock = clock
        self._line = Line()
        self.taken = 0

    @property
    def idle(self) -> bool:
        """None is taken, and nobody waits."""
        return self.taken == 0 and not self._line

    async def take(self, tenant_id: str, deadline: float, *, patient: bool = True) -> None:
        """A slot. `BoundaryError` provider_busy where none falls free before the deadline; `patient` False: at once."""
        if self.taken < self._number and not self._line:
            self.taken += 1
            return
        left = deadline - self._clock.monotonic()
        if left <= 0 or not patient:
            raise busy(self._name)
        waiter = self._line.join(tenant_id, deadline)
        patience = asyncio.ensure_future(self._clock.sleep(left))
        try:
            await asyncio.wait((waiter.served, patience), return_when=asyncio.FIRST_COMPLETED)
            if not waiter.served.done():
                raise busy(self._name)
            waiter.served.result()
        except asyncio.CancelledError:
            if waiter.served.done() and waiter.served.exception() is None:
                self.release()
            raise
        finally:
            self._line.leave(waiter)
            patience.cancel()

    def release(self) -> None:
        """Hand the slot on, or free it."""
        if not self._line.serve():
            self.taken -= 1

    def close(self) -> None:
        """Whoever waits is told that the tools were closed."""
        self._line.refuse_all(closed)
