"""A tenant's jobs, page by page: a synchronous operation over one connection.

Owns: the order, the filters, and that a page costs no more than its bound. Status and instants are ranges of an index
that stands in the order of the pages; a search by text looks through `pages.LOOKED_THROUGH` jobs of that range, newest
first, and its cursor goes on where it stopped. Refuses to know: which database it is, threads.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, select, tuple_

from literesearcher.jobs import pages
from literesearcher.jobs.model import JobFilter, JobPage
from literesearcher.jobs.sql import rows
from literesearcher.jobs.sql.schema import jobs

_PLACE = (jobs.c.created_at, jobs.c.id)
_ORDER = tuple_(*_PLACE)
_NEWEST_FIRST = (jobs.c.created_at.desc(), jobs.c.id.desc())
Place = tuple[float, str]
"""(created_at, id) of a job."""


def page(conn: Connection, tenant_id: str, only: JobFilter, after: Place | None, limit: int) -> JobPage:
    """Newest first, from `after` on; one row more than asked for tells whether there is a next page."""
    wanted = _within(select(*rows.JOB_COLUMNS), tenant_id, only, after)
    stopped: Place | None = None
    if only.text is not None:
        stopped = _last_looked_at(conn, tenant_id, only, after)
        wanted = wanted.where(jobs.c.input.icontains(only.text, autoescape=True))
        if stopped is not None:
            wanted = wanted.where(tuple_(*stopped) <= _ORDER)
    found = conn.execute(wanted.order_by(*_NEWEST_FIRST).limit(limit + 1)).all()
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = pages.encode_cursor(last.created_at, last.id)
    elif stopped is not None:
        following = pages.encode_cursor(*stopped)
    return JobPage([rows.job(row) for row in found[:limit]], following)


def _within(query: Select[Any], tenant_id: str, only: JobFilter, after: Place | None) -> Select[Any]:
    query = query.where(jobs.c.tenant_id == tenant_id)
    if only.status is not None:
        query = query.where(jobs.c.status == only.status)
    if only.created_from is not None:
        query = query.where(jobs.c.created_at >= only.created_from.timestamp())
    if only.created_before is not None:
        query = query.where(jobs.c.created_at < only.created_before.timestamp())
    if after is not None:
        query = query.where(tuple_(*after) > _ORDER)
    return query


def _last_looked_at(conn: Connection, tenant_id: str, only: JobFilter, after: Place | None) -> Place | None:
    """The last job that a search may look at; None where it reaches the end. Read from the index alone."""
    edge = _within(select(*_PLACE), tenant_id, only, after).order_by(*_NEWEST_FIRST)
    two = conn.execute(edge.offset(pages.LOOKED_THROUGH - 1).limit(2)).all()
    return (two[0].created_at, two[0].id) if len(two) == 2 else None
