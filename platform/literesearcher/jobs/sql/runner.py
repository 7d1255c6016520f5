"""The port between the store's operations and what carries them out: one for SQLite, one for PostgreSQL.

An operation is a function over a SQLAlchemy `Connection`. It may be called again after a rollback, so it has no effect
outside the database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
Operation = Callable[[Connection], T]


class Runner(Protocol):
    """Carries operations out. Errors of the database come out as `jobs.sql.failures` classifies them."""

    async def write(self, operation: Operation[T]) -> T:
        """In one transaction, committed when this returns. Cancelled while it runs, it may or may not be committed."""
        ...

    async def read(self, operation: Operation[T]) -> T:
        """A look that sees every write that was committed before the call."""
        ...

    async def aclose(self) -> None:
        """Close connections. Safe to call twice; later calls raise BoundaryError `store_closed`."""
        ...
