"""What a page of a long list costs: an index in the order of the list, whatever the filters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, create_engine, event

from literesearcher.jobs.model import JobFilter
from literesearcher.jobs.sql import job_pages
from literesearcher.jobs.sql.schema import metadata

NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "only",
    [
        JobFilter(),
        JobFilter(text="koala"),
        JobFilter(created_from=NOW, created_before=NOW),
        JobFilter(status="completed", text="koala", created_from=NOW, created_before=NOW),
    ],
)
@pytest.mark.parametrize("after", [None, (NOW.timestamp(), "job_x")])
def test_no_page_sorts_or_scans(only: JobFilter, after: tuple[float, str] | None) -> None:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    asked: list[tuple[str, object]] = []

    def note(conn: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    def plan(conn: Connection, statement: str, parameters: object) -> list[str]:
        return [row.detail for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    with engine.connect() as conn:
        event.listen(engine, "before_cursor_execute", note)
        job_pages.page(conn, "acme", only, after, 20)
        event.remove(engine, "before_cursor_execute", note)
        plans = [detail for statement, parameters in asked for detail in plan(conn, statement, parameters)]
    assert len(plans) == (1 if only.text is None else 2)
    # Both indexes stand in the order of the pages; with nothing known of the rows, either may be taken.
    indexes = ("INDEX ix_jobs_page (", "INDEX ix_jobs_status_page (")
    assert all(detail.startswith("SEARCH") and any(name in detail for name in indexes) for detail in plans), plans
