"""SQLite: two lanes, each a thread with one connection: one writes, one reads.

Owns: pragmas, `BEGIN IMMEDIATE`, and group commit: operations that wait while a transaction is carried out go into the
next one together. If anything fails there, all is rolled back and each gets a transaction of its own, so that one
caller's failure is never another's. WAL with synchronous=NORMAL: what was acknowledged survives any death of the
process (not a power cut). Refuses to know: what the operations do.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from literesearcher.errors import BoundaryError, ConfigurationError, LiteResearcherError
from literesearcher.jobs.sql import failures
from literesearcher.jobs.sql.runner import Operation

T = TypeVar("T")

BUSY_SECONDS = 15.0
"""How long a transaction waits for another process's before it fails as transient."""
GROUP = 128
"""Operations in one transaction at most."""
MIN_SQLITE = (3, 35, 0)
"""RETURNING."""


class SqliteRunner:
    """Runs operations on one file. Made by `open_sqlite`."""

    def __init__(self, writer: Lane, reader: Lane) -> None:
        self._writer = writer
        self._reader = reader

    async def write(self, operation: Operation[T]) -> T:
        """In one transaction, committed when this returns."""
        return await self._writer.run(operation)

    async def read(self, operation: Operation[T]) -> T:
        """Outside any transaction: each statement sees all that is committed."""
        return await self._reader.run(operation)

    async def aclose(self) -> None:
        """Finish what waits, then close."""
        await self._reader.aclose()
        await self._writer.aclose()


async def open_sqlite(url: URL, file: Path, shown: str) -> SqliteRunner:
    """Open the file, made if absent in a folder for this user only. ConfigurationError where it cannot be used."""
    if sqlite3.sqlite_version_info < MIN_SQLITE:
        raise ConfigurationError(
            f"this Python has SQLite {sqlite3.sqlite_version}; the job store needs 3.35 or newer", code="sqlite_too_old"
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"the folder of the job store {file.parent} cannot be made ({error.strerror}); "
            "choose another LITERESEARCHER_DATA_DIR",
            code="store_not_writable",
        ) from None
    writer = Lane(_engine(url, immediate=True), shown, file.parent, "store-writer")
    reader = Lane(_engine(url, immediate=False), shown, file.parent, "store-reader")
    runner = SqliteRunner(writer, reader)
    try:
        await writer.open()
        await reader.open()
    except BaseException:
        await runner.aclose()
        raise
    return runner


def _engine(url: URL, *, immediate: bool) -> Engine:
    # hide_parameters: they are users' text, and errors are logged.
    engine = create_engine(url, poolclass=StaticPool, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare)
    if immediate:
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    # The driver begins no transactions of its own.
    connection.isolation_level = None
    _enter_wal(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _enter_wal(connection: sqlite3.Connection) -> None:
    """WAL stays with the file. The change to it fails at once where another process is just making it too."""
    give_up = time.monotonic() + BUSY_SECONDS
    pause = threading.Event()
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not (error.sqlite_errorname or "").startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                raise
            pause.wait(0.01)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class _Call:
    """An operation and the future of its caller."""

    __slots__ = ("future", "operation")

    def __init__(self, operation: Operation[Any], future: asyncio.Future[Any]) -> None:
        self.operation = operation
        self.future = future


class Lane:
    """One thread, one connection, one transaction at a time."""

    def __init__(self, engine: Engine, shown: str, folder: Path, name: str) -> None:
        self._engine = engine
        self._shown = shown
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: deque[_Call] = deque()
        self._closed = False

    async def open(self) -> None:
        """Connect, in the lane's own thread."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.wrap_future(self._thread.submit(self._connect))
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise failures.refuse_start(failures.translate(error, self._shown, self._folder)) from error

    async def run(self, operation: Operation[T]) -> T:
        """The operation's result after commit. An operation that was cancelled before its turn is not run."""
        if self._closed:
            raise BoundaryError("the job store is closed", code="store_closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(_Call(operation, future))
        self._thread.submit(self._drain)
        return await future

    async def aclose(self) -> None:
        """Everything that waits is carried out first."""
        if self._closed:
            return
        self._closed = True
        closing: Future[None] = self._thread.submit(self._engine.dispose)
        self._thread.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(closing))

    def _connect(self) -> None:
        self._connection = self._engine.connect()
        driver = self._connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        self._driver = driver

    def _drain(self) -> None:
        """Carry out all that waits, together. Each call submits one drain; those that find nothing are free."""
        calls: list[_Call] = []
        while self._waiting and len(calls) < GROUP:
            call = self._waiting.popleft()
            if not call.future.cancelled():
                calls.append(call)
        if calls:
            self._carry_out(calls)

    def _carry_out(self, calls: list[_Call]) -> None:
        try:
            outcomes = self._transaction(calls)
        except BaseException as error:
            self._connection.rollback()
            if len(calls) == 1:
                self._deliver([(calls[0], None, error)])
            else:
                self._one_by_one(calls)
            raise
        self._deliver(outcomes)

    def _one_by_one(self, calls: list[_Call]) -> None:
        """Each in a transaction of its own; one that fails, for whatever reason, is followed by the rest."""
        if calls:
            try:
                self._carry_out(calls[:1])
            finally:
                self._one_by_one(calls[1:])

    def _transaction(self, calls: list[_Call]) -> list[tuple[_Call, Any, BaseException | None]]:
        outcomes: list[tuple[_Call, Any, BaseException | None]] = []
        for call in calls:
            changes = self._driver.total_changes
            try:
                outcomes.append((call, call.operation(self._connection), None))
            except LiteResearcherError as error:
                if self._driver.total_changes != changes:
                    raise
                # It refused before it wrote anything: the others need not suffer.
                outcomes.append((call, None, error))
        self._connection.commit()
        return outcomes

    def _deliver(self, outcomes: list[tuple[_Call, Any, BaseException | None]]) -> None:
        self._loop.call_soon_threadsafe(self._settle, outcomes)

    def _settle(self, outcomes: list[tuple[_Call, Any, BaseException | None]]) -> None:
        for call, result, error in outcomes:
            if call.future.done():
                continue
            if error is None:
                call.future.set_result(result)
            elif isinstance(error, (SQLAlchemyError, sqlite3.Error, OSError)):
                ours = failures.translate(error, self._shown, self._folder)
                ours.__cause__ = error
                call.future.set_exception(ours)
            else:
                call.future.set_exception(error)
