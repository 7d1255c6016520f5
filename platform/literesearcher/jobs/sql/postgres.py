"""PostgreSQL: operations run over a pool of asyncpg connections, each write in one transaction (READ COMMITTED).

Owns: pool and time limits. A server that went away fails each call under way once, as transient; the pool then makes
new connections. Trying again is the caller's. Refuses to know: what the operations do.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from literesearcher.errors import BoundaryError
from literesearcher.jobs.sql import failures
from literesearcher.jobs.sql.runner import Operation

T = TypeVar("T")

POOL = 16
"""Connections of one process at most."""
CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 60.0
"""A statement that takes longer (behind a lock, say) fails as transient."""
WAIT_SECONDS = 30.0
"""For a free connection of the pool."""

_FAILURES = (
    SQLAlchemyError,
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # asyncpg's connect takes the URL's query as keyword arguments.
    TypeError,
)


class PostgresRunner:
    """Runs operations on one database. Connects at the first call."""

    def __init__(self, url: URL, shown: str) -> None:
        self._shown = shown
        self._closed = False
        # hide_parameters: they are users' text, and errors are logged.
        self._engine = create_async_engine(
            url,
            hide_parameters=True,
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=WAIT_SECONDS,
            connect_args={
                "timeout": CONNECT_SECONDS,
                "command_timeout": COMMAND_SECONDS,
                "server_settings": {"application_name": "literesearcher"},
            },
        )
        # A single look needs no BEGIN and COMMIT, two round trips.
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    async def write(self, operation: Operation[T]) -> T:
        """In one transaction, committed when this returns."""
        self._check_open()
        try:
            async with self._engine.begin() as connection:
                return await connection.run_sync(operation)
        except _FAILURES as error:
            raise failures.translate(error, self._shown) from error

    async def read(self, operation: Operation[T]) -> T:
        """Outside any transaction: each statement sees all that is committed."""
        self._check_open()
        try:
            async with self._autocommit.connect() as connection:
                return await connection.run_sync(operation)
        except _FAILURES as error:
            raise failures.translate(error, self._shown) from error

    async def aclose(self) -> None:
        """Close the pool."""
        self._closed = True
        await self._engine.dispose()

    def _check_open(self) -> None:
        if self._closed:
            raise BoundaryError("the job store is closed", code="store_closed")
