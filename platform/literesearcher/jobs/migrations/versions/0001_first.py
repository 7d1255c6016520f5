"""The first tables: jobs, events, inbox, API keys, idempotency, corpora, and what the store says of itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make everything."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("requires_schema", sa.Integer, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("deadline_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("stop_reason", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.Double),
        sa.Column("worker", sa.Text),
    )
    opened = sa.text("lease_until IS NOT NULL")
    op.create_index("ix_jobs_page", "jobs", ["tenant_id", "created_at", "id"])
    op.create_index("ix_jobs_status_page", "jobs", ["tenant_id", "status", "created_at", "id"])
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        ["tenant_id", sa.text("priority DESC"), "created_at", "id"],
        postgresql_where=opened,
        sqlite_where=opened,
    )
    op.create_index(
        "ix_jobs_lease",
        "jobs",
        ["lease_until", "tenant_id", "created_at"],
        postgresql_where=opened,
        sqlite_where=opened,
    )
    op.create_index("ix_jobs_ended", "jobs", ["ended_at"])
    op.create_table(
        "events",
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
    )
    op.create_table(
        "inbox",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("taken_by", sa.BigInteger, nullable=False),
        sa.Column("posted_at", sa.Double, nullable=False),
    )
    op.create_index("ix_inbox_job", "inbox", ["job_id"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
    )
    op.create_table(
        "idempotency",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("ix_idempotency_job", "idempotency", ["job_id"])
    op.create_index("ix_idempotency_created", "idempotency", ["created_at"])
    op.create_table(
        "corpora",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.UniqueConstraint("tenant_id", "name", name="uq_corpora_tenant_name"),
    )
    meta = op.create_table(
        "store_meta",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.bulk_insert(meta, [{"name": "min_level", "value": "1"}])
