"""What a tenant may spend on tools in a day, what it has spent, and what an event changes in that; the same in every
store.

Owns: the arithmetic, in millionths of a USD, and the refusal. Refuses to know: how a ledger is kept, settings files.
The ledger of a day is always the fold of all journals: an intent adds one call and its reserve to the day of its
instant, its result takes the reserve back from that day and adds the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from literesearcher.errors import BudgetSpent
from literesearcher.research.events import Event, ToolCompleted, ToolStarted
from literesearcher.research.tool_accounts import micro_usd
from literesearcher.settings.sections import BudgetsSection


@dataclass(frozen=True, slots=True)
class Budget:
    """What a tenant may spend in a day. None: no limit."""

    calls_per_day: int | None = None
    usd_per_day: float | None = None


NO_LIMIT = Budget()


@dataclass(frozen=True, slots=True)
class Spend:
    """What a tenant's tool calls came to in a day, what open calls have reserved included. Millionths of a USD."""

    calls: int = 0
    micro_usd: int = 0

    @property
    def usd(self) -> float:
        """The same in USD."""
        return self.micro_usd / 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A change of one day's ledger. Only a `charge` can be refused: what a result settles has happened."""

    day: str
    calls: int
    micro_usd: int
    charge: bool


def budget_of(section: BudgetsSection, tenant_id: str) -> Budget:
    """The tenant's budget: its own where it has one; what that leaves out is everybody's."""
    own = section.tenants.get(tenant_id)
    named = own.model_fields_set if own is not None else frozenset[str]()
    return Budget(
        calls_per_day=own.calls_per_day if own is not None and "calls_per_day" in named else section.calls_per_day,
        usd_per_day=own.usd_per_day if own is not None and "usd_per_day" in named else section.usd_per_day,
    )


def day_of(instant: datetime) -> str:
    """The day (UTC) as YYYY-MM-DD."""
    return instant.astimezone(UTC).date().isoformat()


def next_day(instant: datetime) -> datetime:
    """The beginning of the day (UTC) after that of `instant`."""
    midnight = instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1)


def entries(events: Sequence[Event], at: datetime) -> list[Entry]:
    """What appending the events at that instant changes."""
    changes = []
    for event in events:
        if isinstance(event, ToolStarted):
            changes.append(Entry(day_of(at), 1, micro_usd(event.reserved_usd), charge=True))
        elif isinstance(event, ToolCompleted) and event.reserved_on:
            change = micro_usd(event.cost_usd) - micro_usd(event.reserved_usd)
            if change:
                changes.append(Entry(event.reserved_on, 0, change, charge=False))
    return changes


def fits(spent: Spend, entry: Entry, budget: Budget) -> bool:
    """May that much more be spent?"""
    if budget.calls_per_day is not None and spent.calls + entry.calls > budget.calls_per_day:
        return False
    return budget.usd_per_day is None or spent.micro_usd + entry.micro_usd <= micro_usd(budget.usd_per_day)


def is_spent(spent: Spend, budget: Budget) -> bool:
    """Is there nothing left? A budget of no money is not spent by calls that cost nothing."""
    if budget.calls_per_day is not None and spent.calls >= budget.calls_per_day:
        return True
    return budget.usd_per_day is not None and 0 < spent.micro_usd >= micro_usd(budget.usd_per_day)


def refusal(spent: Spend, budget: Budget, at: datetime) -> BudgetSpent:
    """The error that says so, and when the next day begins."""
    limits = []
    if budget.calls_per_day is not None:
        limits.append(f"{spent.calls:,} of {budget.calls_per_day:,} calls")
    if budget.usd_per_day is not None:
        limits.append(f"{spent.usd:g} of {budget.usd_per_day:g} USD")
    return BudgetSpent(
        f"the day's budget for tool calls is spent ({', '.join(limits)}); the next day begins at 00:00 UTC",
        retry_after=(next_day(at) - at).total_seconds(),
    )
