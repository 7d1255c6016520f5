"""Which free jobs come next, as one statement for each database and set of weights.

Owns: the order. Jobs that were begun before (handed back, or of a worker that died) come first, since what they hold is
lost work until they go on; then the highest priority; then the tenant with the fewest leased jobs by its weight (those
picked in the same claim count); then the oldest. Refuses to know: what is done with them (`queue`), beyond how each
database is best asked for the first few rows of every tenant.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from sqlalchemy import ColumnElement, Select, Subquery, any_, bindparam, case, func, literal, select, union

from literesearcher.jobs.sql.schema import jobs, unix_now

SPARE = 16
"""Candidates looked at beyond those asked for, since others may be claiming the same ones right now."""
HANDED_BACK = -1.0
"""`lease_until` of a job that was begun and handed back: those few are found by their index, however long the queue."""

Weights = tuple[tuple[str, float], ...]

open_ = jobs.c.lease_until.is_not(None)
free = (jobs.c.lease_until <= unix_now(), jobs.c.requires_schema <= bindparam("schema"))


def candidates(dialect: str, weights: Mapping[str, float]) -> Select[tuple[str]]:
    """Ids in order, locked. Parameters: `schema`, `limit`, `heads`."""
    return _candidates(dialect, tuple(sorted(weights.items())))


def _tenants() -> Subquery:
    """Tenants that have open jobs, found by hopping along the index instead of reading every open job."""
    found = select(func.min(jobs.c.tenant_id).label("tenant_id")).where(open_).cte("tenants", recursive=True)
    following = select(func.min(jobs.c.tenant_id)).where(open_, jobs.c.tenant_id > found.c.tenant_id)
    hop = select(following.scalar_subquery()).where(found.c.tenant_id.is_not(None))
    return select(found.union_all(hop).c.tenant_id).subquery("tenant")


def _weight(tenant: ColumnElement[str], weights: Weights) -> ColumnElement[float]:
    if not weights:
        return literal(1.0)
    return case(*((tenant == name, weight) for name, weight in weights), else_=1.0)


@lru_cache(maxsize=8)
def _candidates(dialect: str, weights: Weights) -> Select[tuple[str]]:
    tenants = _tenants()
    # As an expression, or SQLite walks the whole queue in the tenants' order instead of the few leases.
    holder = (jobs.c.tenant_id + "").label("tenant_id")
    leased = (
        select(holder, func.count().label("held"))
        .where(jobs.c.lease_until > unix_now())
        .group_by(holder)
        .subquery("leased")
    )
    inner = jobs.alias("head")
    head = (
        select(inner.c.id)
        .where(
            inner.c.tenant_id == tenants.c.tenant_id,
            inner.c.lease_until <= unix_now(),
            inner.c.requires_schema <= bindparam("schema"),
        )
        .order_by(inner.c.priority.desc(), inner.c.created_at, inner.c.id)
        .limit(bindparam("heads"))
        .correlate(tenants)
    )
    job = jobs.alias("candidate")
    columns = (job.c.id, job.c.tenant_id, job.c.priority, job.c.created_at, job.c.started_at)
    # Both mean "its id is one of the tenant's first"; each database finds the rows by index in one of the forms only.
    by_array = job.c.id == any_(func.array(head.scalar_subquery()))
    among = by_array if dialect == "postgresql" else job.c.id.in_(head)
    # Two ranges of the lease's index, on either side of the queue's many zeros.
    handed_back = _begun(jobs.c.lease_until < 0.0)
    ran_out = _begun(jobs.c.lease_until > 0.0, jobs.c.lease_until <= unix_now())
    found = union(
        select(*columns).select_from(tenants.join(job, among)),
        select(*columns).where(job.c.id.in_(handed_back)),
        select(*columns).where(job.c.id.in_(ran_out)),
    ).subquery("found")
    begun = case((found.c.started_at.is_not(None), 0), else_=1).label("begun")
    turn = func.row_number().over(
        partition_by=found.c.tenant_id, order_by=(begun, found.c.priority.desc(), found.c.created_at, found.c.id)
    )
    load = (func.coalesce(leased.c.held, 0) + turn) / _weight(found.c.tenant_id, weights)
    ranked = (
        select(found.c.id, begun, found.c.priority, found.c.created_at, load.label("load"))
        .select_from(found.outerjoin(leased, leased.c.tenant_id == found.c.tenant_id))
        .subquery("ranked")
    )
    order = (ranked.c.begun, ranked.c.priority.desc(), ranked.c.load, ranked.c.created_at, ranked.c.id)
    place = func.row_number().over(order_by=order).label("place")
    # Cut here, so that no more rows than these are looked up and locked.
    first = select(ranked.c.id, place).order_by(*order).limit(bindparam("heads")).subquery("first")
    return (
        select(jobs.c.id)
        .join(first, first.c.id == jobs.c.id)
        .where(*free)
        .order_by(first.c.place)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True, of=jobs)
    )


def _begun(*where: ColumnElement[bool]) -> Select[tuple[str]]:
    one = (
        select(jobs.c.id)
        .where(*where, jobs.c.started_at.is_not(None), jobs.c.requires_schema <= bindparam("schema"))
        .order_by(jobs.c.lease_until)
        .limit(bindparam("heads"))
        .subquery()
    )
    return select(one.c.id)
