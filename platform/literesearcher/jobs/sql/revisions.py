"""Which migration a store is at, whether this program may read it, and bringing it up to date; synchronous.

Owns: the version rules. A program refuses a store only where the store's own `min_level` is above its STORE_LEVEL; a
store that a newer program migrated in a way that older ones can live with is used as it is. Alembic is imported only
where there is something to migrate. Refuses to know: which database it is, beyond how it takes a lock.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, inspect, select, text

from literesearcher.errors import ConfigurationError
from literesearcher.jobs.sql.schema import HEAD, STORE_LEVEL, jobs, store_meta

REVISIONS = ("0001", HEAD)
"""Every revision that this program knows, oldest first. A store at any other was made by a newer version."""
_LOCK = 0x6C69_7465_7265_7365
"""Advisory lock of PostgreSQL: two programs that migrate at once do it one after the other."""


def current(conn: Connection) -> str | None:
    """The store's revision; None for an empty database."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    revision = conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if revision is None else str(revision)


def min_level(conn: Connection) -> int:
    """The oldest program level that may read this store."""
    value = conn.execute(select(store_meta.c.value).where(store_meta.c.name == "min_level")).scalar_one_or_none()
    return 0 if value is None else int(value)


def check(conn: Connection, shown: str) -> None:
    """ConfigurationError `store_not_migrated` or `store_too_new` where this program cannot use the store."""
    if _behind(conn, shown):
        raise ConfigurationError(
            f"the job store {shown} is not at revision {HEAD}; run: literesearcher store migrate",
            code="store_not_migrated",
        )


def upgrade(conn: Connection, shown: str) -> None:
    """Migrate up to HEAD in the caller's transaction. Nothing to do: does nothing, and takes no lock on PostgreSQL."""
    if not _behind(conn, shown):
        return
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if not _behind(conn, shown):
            return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "literesearcher.jobs:migrations")
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def counts(conn: Connection) -> dict[str, int]:
    """Jobs by status."""
    found = conn.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status))
    return {row[0]: row[1] for row in found}


def _behind(conn: Connection, shown: str) -> bool:
    revision = current(conn)
    if revision is None:
        return True
    needed = min_level(conn)
    if needed > STORE_LEVEL:
        raise ConfigurationError(
            f"the job store {shown} was made by a newer version: only programs of store level {needed} or newer may "
            f"read it, and this one has level {STORE_LEVEL}; install a newer literesearcher",
            code="store_too_new",
        )
    return revision in REVISIONS[:-1]
