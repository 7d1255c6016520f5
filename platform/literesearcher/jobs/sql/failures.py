"""The one border between database errors and ours: what a driver raised becomes an error with a stable code.

Owns: the classification. | what happened | code | transient |
server gone, restarting, too busy, file locked: `store_unreachable`, yes; disk full: `store_full`, no; file or page
damaged: `store_corrupt`, no; anything else: `store_failed`, no. Refuses to know: which operation it was. Messages hold
no SQL and no parameters (they would hold users' text), nor a password.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from literesearcher.errors import BoundaryError, ConfigurationError, LiteResearcherError

_FULL_BELOW_BYTES = 1_000_000
"""SQLite calls some of its failures for want of room I/O errors; with less room than this on the disk, they were."""
_UNREACHABLE_STATES = ("08", "57P", "53", "40", "55P03", "25006")
"""SQLSTATE prefixes: connection, operator intervention (shutdown, cancel), resources, rollback, lock, read-only."""
_CORRUPT_STATES = ("XX001", "XX002")
_DISK_FULL_STATE = "53100"
_REFUSED_STATES = ("28", "3D000", "42501")
_NOT_MIGRATED_STATES = ("42P01", "42703", "3F000")


def unreachable(shown: str, why: str) -> BoundaryError:
    """The transient error of a store that does not answer."""
    return BoundaryError(f"the job store {shown} does not answer: {why}", code="store_unreachable", transient=True)


def translate(error: BaseException, shown: str, folder: Path | None = None) -> LiteResearcherError:
    """Our error for a driver's. `shown` is the store's URL without its password, `folder` where SQLite's file is."""
    if isinstance(error, LiteResearcherError):
        return error
    cause = _driver_error(error)
    if isinstance(cause, sqlite3.Error):
        return _sqlite(cause, shown, folder)
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if isinstance(state, str):
        return _postgresql(state, cause, shown)
    if isinstance(error, PoolTimeout):
        return unreachable(shown, "every connection is taken")
    if isinstance(cause, (OSError, asyncio.TimeoutError, EOFError)):
        return unreachable(shown, _first_line(cause))
    if isinstance(error, (InterfaceError,)) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return unreachable(shown, _first_line(cause))
    if type(cause).__module__.startswith("asyncpg"):
        return unreachable(shown, _first_line(cause))
    return BoundaryError(f"the job store {shown} failed: {type(cause).__name__}", code="store_failed")


def refuse_start(error: LiteResearcherError) -> LiteResearcherError:
    """While opening, what will not go away by waiting means that the program must not start."""
    if isinstance(error, BoundaryError) and not error.transient:
        return ConfigurationError(error.message, code=error.code)
    return error


def _driver_error(error: BaseException) -> BaseException:
    """The innermost error that the driver raised."""
    found: BaseException = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        found = error.orig
    # SQLAlchemy's asyncpg adapter wraps asyncpg's error and keeps it as the cause.
    while not isinstance(found, (OSError, sqlite3.Error)) and found.__cause__ is not None:
        if getattr(found, "sqlstate", None) is not None and not isinstance(found, SQLAlchemyError):
            break
        found = found.__cause__
    return found


def _sqlite(cause: sqlite3.Error, shown: str, folder: Path | None) -> LiteResearcherError:
    name = getattr(cause, "sqlite_errorname", None) or ""
    if name.startswith("SQLITE_FULL") or (name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and _is_full(folder)):
        return BoundaryError(
            f"the disk under the job store {shown} is full; make room and try again", code="store_full"
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return BoundaryError(
            f"the job store {shown} is damaged ({_first_line(cause)}); move the file away to begin with an empty "
            "store, or put a backup in its place",
            code="store_corrupt",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return unreachable(shown, "another process holds its lock")
    if name.startswith("SQLITE_IOERR"):
        return unreachable(shown, _first_line(cause))
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return BoundaryError(
            f"the job store {shown} cannot be written ({_first_line(cause)}); give this user the right to write the "
            "file and its folder, or choose another LITERESEARCHER_DATA_DIR",
            code="store_not_writable",
        )
    return BoundaryError(f"the job store {shown} failed: {name or type(cause).__name__}", code="store_failed")


def _is_full(folder: Path | None) -> bool:
    try:
        return folder is not None and shutil.disk_usage(folder).free < _FULL_BELOW_BYTES
    except OSError:
        return False


def _postgresql(state: str, cause: BaseException, shown: str) -> LiteResearcherError:
    if state == _DISK_FULL_STATE:
        return BoundaryError(f"the disk of the job store {shown} is full", code="store_full")
    if state in _CORRUPT_STATES:
        return BoundaryError(f"the job store {shown} is damaged; restore a backup", code="store_corrupt")
    if state.startswith(_REFUSED_STATES):
        return BoundaryError(f"the job store {shown} refused us: {_first_line(cause)}", code="store_refused")
    if state in _NOT_MIGRATED_STATES:
        return BoundaryError(
            f"the job store {shown} lacks a table or column; run: literesearcher store migrate",
            code="store_not_migrated",
        )
    if state.startswith(_UNREACHABLE_STATES):
        return unreachable(shown, _first_line(cause))
    return BoundaryError(f"the job store {shown} failed: SQLSTATE {state}", code="store_failed")


def _first_line(cause: BaseException) -> str:
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:200]
