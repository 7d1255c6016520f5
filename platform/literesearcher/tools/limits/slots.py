"""So many at once and no more, with a line before it, and nobody who holds them all.

Owns: the count, who holds how many, who waits. Refuses to know: what is done in a slot. Above: `tools.governor`,
`perimeter.lookups`. Below: `limits.line`. A slot that falls free goes to the waiter whose tenant holds fewest, so that
nobody who comes later gets it first.

A slot cannot be taken back, and a slow request keeps it for a minute. So where others have come lately, a tenant (and
one site's pages) may hold all slots but one: the last is for whoever comes next.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter

from literesearcher.timing.clock import Clock
from literesearcher.tools.limits.line import Line, Waiter
from literesearcher.tools.limits.rate import busy, closed

LATELY_SECONDS = 300.0
"""Who was here within it may come again; whoever has been alone for so long may hold all slots."""


class _Holders:
    """Tenants, or sites: how many slots each holds, and when others than it last came."""

    def __init__(self) -> None:
        self.held: Counter[str] = Counter()
        self._last: tuple[str, float] = ("", -math.inf)
        self._last_other: tuple[str, float] = ("", -math.inf)  # not the one in `_last`

    def came(self, key: str, now: float) -> None:
        if key != self._last[0]:
            self._last_other = self._last
        self._last = (key, now)

    def others_came(self, key: str) -> float:
        """When; minus infinity for never."""
        return (self._last if key != self._last[0] else self._last_other)[1]

    def add(self, key: str, number: int) -> None:
        self.held[key] += number
        if not self.held[key]:
            del self.held[key]


class Slots:
    """`take` is followed by exactly one `release` with the same tenant and site, unless it raised.

    `each`: how many one tenant may hold at most, whether others come or not.
    """

    def __init__(self, name: str, number: int, *, clock: Clock, each: int | None = None) -> None:
        self._name = name
        self._number = number
        self._each = number if each is None else each
        self._clock = clock
        self._line = Line()
        self._tenants = _Holders()
        self._sites = _Holders()
        self.taken = 0

    @property
    def idle(self) -> bool:
        """None is taken, and nobody waits."""
        return self.taken == 0 and not self._line

    async def take(self, tenant_id: str, deadline: float, *, patient: bool = True, site: str = "") -> None:
        """A slot. `BoundaryError` provider_busy where none falls free before the deadline; `patient` False: at once.

        `site`: whose page it is for, "" for none.
        """
        now = self._clock.monotonic()
        self._tenants.came(tenant_id, now)
        if site:
            self._sites.came(site, now)
        if not self._line and self.taken < self._number and self._has_room(tenant_id, site, now):
            self._hold(tenant_id, site, 1)
            return
        left = deadline - now
        if left <= 0 or not patient:
            raise busy(self._name)
        waiter = self._line.join(tenant_id, deadline, site)
        self._hand_out()  # those ahead may all be held back by what they hold themselves
        patience = asyncio.ensure_future(self._clock.sleep(left))
        try:
            await asyncio.wait((waiter.served, patience), return_when=asyncio.FIRST_COMPLETED)
            if not waiter.served.done():
                raise busy(self._name)
            waiter.served.result()
        except asyncio.CancelledError:
            if waiter.served.done() and waiter.served.exception() is None:
                self.release(tenant_id, site)
            raise
        finally:
            self._line.leave(waiter)
            patience.cancel()

    def release(self, tenant_id: str, site: str = "") -> None:
        """Hand the slot on, or free it."""
        self._hold(tenant_id, site, -1)
        self._hand_out()

    def _hold(self, tenant_id: str, site: str, number: int) -> None:
        self.taken += number
        self._tenants.add(tenant_id, number)
        if site:
            self._sites.add(site, number)

    def _has_room(self, tenant_id: str, site: str, now: float) -> bool:
        most = min(self._each, self._most(self._tenants, tenant_id, now))
        return self._tenants.held[tenant_id] < most and (
            not site or self._sites.held[site] < self._most(self._sites, site, now)
        )

    def _most(self, holders: _Holders, key: str, now: float) -> int:
        alone = holders.others_came(key) < now - LATELY_SECONDS
        return self._number if alone else max(1, self._number - 1)

    def _hand_out(self) -> None:
        while self._line and self.taken < self._number:
            now = self._clock.monotonic()

            def may(waiter: Waiter, now: float = now) -> bool:
                return self._has_room(waiter.tenant_id, waiter.site, now)

            # Who holds fewest is first; of those who hold the same, whose turn it is.
            for tenant_id in sorted(self._line.counts(), key=self._tenants.held.__getitem__):
                waiter = self._line.serve(tenant_id, may)
                if waiter is not None:
                    self._hold(waiter.tenant_id, waiter.site, 1)
                    break
            else:
                return

    def close(self) -> None:
        """Whoever waits is told that the tools were closed."""
        self._line.refuse_all(closed)
