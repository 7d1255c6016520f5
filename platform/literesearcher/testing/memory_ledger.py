"""What tenants spent on tools, in memory: a part of the twin of the job store.

Owns: the same promises as `jobs.sql.ledger`. Refuses to know: jobs, leases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from literesearcher.jobs import spending
from literesearcher.jobs.spending import Budget, Spend
from literesearcher.research.events import Event


class MemoryLedger:
    """By tenant and day."""

    def __init__(self) -> None:
        self._days: defaultdict[tuple[str, str], Spend] = defaultdict(Spend)

    def spent(self, tenant_id: str, day: str) -> Spend:
        """Calls and money of that day."""
        return self._days[tenant_id, day]

    def admit(self, tenant_id: str, *, budget: Budget, at: datetime) -> None:
        """`BudgetSpent` where nothing is left for a new job."""
        spent = self._days[tenant_id, spending.day_of(at)]
        if spending.is_spent(spent, budget):
            raise spending.refusal(spent, budget, at)

    def enter(self, tenant_id: str, events: Sequence[Event], *, budget: Budget, at: datetime) -> None:
        """All of what the events change, or `BudgetSpent` and nothing."""
        changed: dict[str, Spend] = {}
        for entry in spending.entries(events, at):
            before = changed.get(entry.day, self._days[tenant_id, entry.day])
            if entry.charge and not spending.fits(before, entry, budget):
                raise spending.refusal(before, budget, at)
            changed[entry.day] = Spend(before.calls + entry.calls, before.micro_usd + entry.micro_usd)
        for day, spent in changed.items():
            self._days[tenant_id, day] = spent
