"""Alembic's environment: runs the revisions on the connection, and in the transaction, that `jobs.sql.revisions` hands
over, so that on both databases a migration happens wholly or not at all. Neighbours: `versions/`, `jobs.sql.schema`.
"""

from __future__ import annotations

from alembic import context

from literesearcher.jobs.sql.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
