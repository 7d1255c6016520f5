"""The tables of the job store, as SQLAlchemy Core sees them, and the database's own clock.

Owns: names, types and indexes; `jobs.migrations` creates the same, and a test compares the two. Instants are Unix
seconds as double precision; JSON is text, written once by `research.codec`. Refuses to know: what is done with them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

HEAD = "0002"
"""The newest migration that this program knows."""
STORE_LEVEL = 1
"""What this program can read. A migration that older programs cannot live with raises `store_meta.min_level`."""
IDEMPOTENCY_SECONDS = 24 * 3600.0

metadata = MetaData()
_Serial = BigInteger().with_variant(Integer(), "sqlite")

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("requires_schema", Integer, nullable=False),
    Column("input", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("deadline_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("stop_reason", Text),
    # The payload of the JobEnded event: output, citations, usage, error.
    Column("result", Text),
    Column("last_seq", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    # NULL: ended. 0: in the queue. Below 0: begun and handed back. Else the instant at which the lease runs out.
    Column("lease_until", Double),
    Column("worker", Text),
)
Index("ix_jobs_page", jobs.c.tenant_id, jobs.c.created_at, jobs.c.id)
Index("ix_jobs_status_page", jobs.c.tenant_id, jobs.c.status, jobs.c.created_at, jobs.c.id)
Index(
    "ix_jobs_queue",
    jobs.c.tenant_id,
    jobs.c.priority.desc(),
    jobs.c.created_at,
    jobs.c.id,
    postgresql_where=jobs.c.lease_until.is_not(None),
    sqlite_where=jobs.c.lease_until.is_not(None),
)
Index(
    "ix_jobs_lease",
    jobs.c.lease_until,
    jobs.c.tenant_id,
    jobs.c.created_at,
    postgresql_where=jobs.c.lease_until.is_not(None),
    sqlite_where=jobs.c.lease_until.is_not(None),
)
Index("ix_jobs_ended", jobs.c.ended_at)

events = Table(
    "events",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    PrimaryKeyConstraint("job_id", "seq"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    # The newest fence that took the letter; 0: unread. A later holder gets it again until the job has ended.
    Column("taken_by", BigInteger, nullable=False),
    Column("posted_at", Double, nullable=False),
)
Index("ix_inbox_job", inbox.c.job_id)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    # SHA-256 hex of the secret.
    Column("digest", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("digest", Text),
    # No foreign key: the row is written first, since it decides which of two creators goes on.
    Column("job_id", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("tenant_id", "key"),
)
Index("ix_idempotency_job", idempotency.c.job_id)
Index("ix_idempotency_created", idempotency.c.created_at)

corpora = Table(
    "corpora",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("tenant_id", "name", name="uq_corpora_tenant_name"),
)

# What a tenant's tool calls came to in a day (UTC, YYYY-MM-DD); stays when its jobs are removed.
tool_spend = Table(
    "tool_spend",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("calls", BigInteger, nullable=False),
    # Millionths of a USD, what open calls have reserved included.
    Column("micro_usd", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "day"),
)

store_meta = Table(
    "store_meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)


class unix_now(FunctionElement[float]):
    """The database's clock in Unix seconds: leases and idempotency keys are judged by it alone."""

    type = Double()
    inherit_cache = True


@compiles(unix_now, "sqlite")
def _sqlite_now(element: Any, compiler: Any, **_: Any) -> str:
    # Not unixepoch('subsec'): SQLite 3.42 and newer only.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(unix_now, "postgresql")
def _postgresql_now(element: Any, compiler: Any, **_: Any) -> str:
    # Stable within a statement, so that an index serves it; clock_timestamp() is volatile.
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) AS double precision)"


def insert_new(conn: Connection, table: Table, **values: Any) -> bool:
    """Insert unless a row with this primary key is there or being committed by another (then wait for it). Done?"""
    into = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    return conn.execute(into(table).values(**values).on_conflict_do_nothing()).rowcount == 1
