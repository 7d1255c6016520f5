"""Waiters in a line, served round robin by tenant: a tenant's thousand wait behind each other, not before others.

Owns: the order, leaving, being refused. Refuses to know: what is waited for. Above: `limits.rate`, `limits.slots`.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable


class Waiter:
    """One who waits until `served` is done; `deadline` is on the clock of whoever serves. `site`: "" for none."""

    __slots__ = ("deadline", "served", "site", "tenant_id")

    def __init__(self, tenant_id: str, deadline: float, site: str) -> None:
        self.tenant_id = tenant_id
        self.deadline = deadline
        self.site = site
        self.served: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Line:
    """Nobody is in it twice; who is served, refused or has left is out of it."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, OrderedDict[Waiter, None]] = OrderedDict()
        self._earliest = math.inf  # no waiter's deadline is before it

    def __bool__(self) -> bool:
        return bool(self._tenants)

    def join(self, tenant_id: str, deadline: float, site: str = "") -> Waiter:
        """Stand at the end of the tenant's own line."""
        waiter = Waiter(tenant_id, deadline, site)
        self._tenants.setdefault(tenant_id, OrderedDict())[waiter] = None
        self._earliest = min(self._earliest, deadline)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Whoever has waited, or gives up. No harm if already out."""
        if waiter.served.done() and not waiter.served.cancelled():
            waiter.served.exception()  # seen, also where the waiter was cancelled in the same moment
        own = self._tenants.get(waiter.tenant_id)
        if own is not None and own.pop(waiter, waiter) is None and not own:
            del self._tenants[waiter.tenant_id]

    def ahead(self, tenant_id: str) -> int:
        """How many would be served before one who joined now."""
        own = len(self._tenants.get(tenant_id, ()))
        return own + sum(min(len(line), own + 1) for other, line in self._tenants.items() if other != tenant_id)

    def counts(self) -> dict[str, int]:
        """Waiters by tenant, next tenant first."""
        return {tenant_id: len(line) for tenant_id, line in self._tenants.items()}

    def serve(self, tenant_id: str, may: Callable[[Waiter], bool] = lambda waiter: True) -> Waiter | None:
        """The tenant's next waiter that may go; None where none may. The tenant goes to the end."""
        own = self._tenants.get(tenant_id, OrderedDict())
        chosen = next((waiter for waiter in own if not waiter.served.done() and may(waiter)), None)
        if chosen is not None:
            chosen.served.set_result(None)
            del own[chosen]
            if own:
                self._tenants.move_to_end(tenant_id)
            else:
                del self._tenants[tenant_id]
        return chosen

    def refuse_before(self, when: float, error: Callable[[], Exception]) -> None:
        """Whoever's deadline is before `when` learns so at once."""
        if self._earliest >= when:
            return
        self._earliest = math.inf
        for waiter in [waiter for line in self._tenants.values() for waiter in line]:
            if waiter.deadline < when:
                self._refuse(waiter, error)
            else:
                self._earliest = min(self._earliest, waiter.deadline)

    def refuse_all(self, error: Callable[[], Exception], tenant_id: str | None = None) -> None:
        """Nobody (of this tenant) is served any more who waits now."""
        for waiter in [waiter for line in self._tenants.values() for waiter in line]:
            if tenant_id is None or waiter.tenant_id == tenant_id:
                self._refuse(waiter, error)

    def _refuse(self, waiter: Waiter, error: Callable[[], Exception]) -> None:
        self.leave(waiter)
        if not waiter.served.done():
            waiter.served.set_exception(error())
