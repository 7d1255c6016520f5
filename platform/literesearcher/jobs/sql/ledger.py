"""What tenants spent on tools by day: charged and settled in the transaction of the append that brings the event.

Owns: the one statement that adds to a day's row only where the budget allows it, so that jobs which run at once cannot
pass it together. Refuses to know: which database it is, what an event costs (`jobs.spending`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from literesearcher.jobs.spending import Budget, Entry, Spend, fits, is_spent, refusal
from literesearcher.jobs.sql.schema import jobs, tool_spend
from literesearcher.research.tool_accounts import micro_usd

_UNLIMITED = 2**62
_SPENT = select(tool_spend.c.calls, tool_spend.c.micro_usd).where(
    tool_spend.c.tenant_id == bindparam("tenant"), tool_spend.c.day == bindparam("day")
)
_TENANT = select(jobs.c.tenant_id).where(jobs.c.id == bindparam("b_job"))


def _add(dialect: str, *, within: bool) -> Any:
    into = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(tool_spend)
    calls = tool_spend.c.calls + into.excluded.calls
    money = tool_spend.c.micro_usd + into.excluded.micro_usd
    return into.values(
        tenant_id=_TENANT.scalar_subquery(),
        day=bindparam("b_day"),
        calls=bindparam("b_calls"),
        micro_usd=bindparam("b_micro_usd"),
    ).on_conflict_do_update(
        index_elements=[tool_spend.c.tenant_id, tool_spend.c.day],
        set_={"calls": calls, "micro_usd": money},
        where=(calls <= bindparam("b_most_calls")) & (money <= bindparam("b_most_micro_usd")) if within else None,
    )


_ADD = {
    (dialect, within): _add(dialect, within=within) for dialect in ("sqlite", "postgresql") for within in (False, True)
}


def add(conn: Connection, job_id: str, entry: Entry, *, budget: Budget, at: datetime) -> None:
    """Change the ledger of the job's tenant; `BudgetSpent` where a charge would pass the budget."""
    values: dict[str, Any] = {
        "b_job": job_id,
        "b_day": entry.day,
        "b_calls": entry.calls,
        "b_micro_usd": entry.micro_usd,
    }
    if not entry.charge:
        conn.execute(_ADD[conn.dialect.name, False], values)
        return
    values["b_most_calls"] = _UNLIMITED if budget.calls_per_day is None else budget.calls_per_day
    values["b_most_micro_usd"] = _UNLIMITED if budget.usd_per_day is None else micro_usd(budget.usd_per_day)
    # The statement's condition is asked of a row that is there; the first of a day stands alone.
    if not fits(Spend(), entry, budget) or conn.execute(_ADD[conn.dialect.name, True], values).rowcount != 1:
        tenant = conn.execute(_TENANT, {"b_job": job_id}).scalar_one()
        raise refusal(spent(conn, tenant, entry.day), budget, at)


def spent(conn: Connection, tenant_id: str, day: str) -> Spend:
    """What the tenant's ledger of that day says."""
    row = conn.execute(_SPENT, {"tenant": tenant_id, "day": day}).one_or_none()
    return Spend() if row is None else Spend(row.calls, row.micro_usd)


def admit(conn: Connection, tenant_id: str, day: str, *, budget: Budget, at: datetime) -> None:
    """`BudgetSpent` where nothing is left for a new job."""
    if budget.calls_per_day is None and budget.usd_per_day is None:
        return
    found = spent(conn, tenant_id, day)
    if is_spent(found, budget):
        raise refusal(found, budget, at)
