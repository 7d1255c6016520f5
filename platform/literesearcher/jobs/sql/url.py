"""Store URLs: which database, which driver, and how the URL is shown (never with its password).

Owns: what is accepted. `sqlite:///FILE` (percent-encoded where it holds a percent or question mark) and
`postgresql://…`, each also with its driver named (`+aiosqlite`, `+asyncpg`); the driver in force is ours to choose.
Refuses to know: connections.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from literesearcher.errors import ConfigurationError
from literesearcher.settings.model import sqlite_url

_SQLITE = frozenset({"sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"})
_POSTGRESQL = frozenset({"postgres", "postgresql", "postgresql+asyncpg", "postgres+asyncpg"})


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A checked URL. `shown` is safe for logs; `file` is the database file of SQLite."""

    kind: Literal["sqlite", "postgresql"]
    url: URL
    shown: str
    file: Path | None = None


def parse(url: str) -> StoreUrl:
    """Raises ConfigurationError `store_url_invalid` or `store_driver_missing`. No message holds the password."""
    driver, separator, file = url.partition(":///")
    try:
        # Decoded here, the reverse of `sqlite_url`: SQLAlchemy 2.1 decodes the name of a file, 2.0 does not.
        plain = separator and driver in _SQLITE and "?" not in file
        parsed = URL.create(driver, database=unquote(file, errors="surrogateescape")) if plain else make_url(url)
    except (ArgumentError, ValueError):
        # The text of these errors may repeat the URL.
        raise ConfigurationError(
            "the store URL cannot be read; write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
            code="store_url_invalid",
        ) from None
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername in _SQLITE:
        return _sqlite(parsed, shown)
    if parsed.drivername in _POSTGRESQL:
        return _postgresql(parsed)
    raise ConfigurationError(
        f"the store URL begins with {parsed.drivername}://; only sqlite:/// and postgresql:// are supported",
        code="store_url_invalid",
    )


def _sqlite(parsed: URL, shown: str) -> StoreUrl:
    if not parsed.database or parsed.database.startswith((":memory:", "file:")) or parsed.query or parsed.host:
        raise ConfigurationError(
            f"the store URL {shown} names no file; write sqlite:///FILE (four slashes for an absolute path)",
            code="store_url_invalid",
        )
    file = Path(os.path.abspath(Path(parsed.database).expanduser()))
    return StoreUrl("sqlite", URL.create("sqlite+pysqlite", database=str(file)), sqlite_url(file), file)


def _postgresql(parsed: URL) -> StoreUrl:
    if importlib.util.find_spec("asyncpg") is None:
        raise ConfigurationError(
            "PostgreSQL needs the asyncpg driver: pip install 'literesearcher[postgres]'", code="store_driver_missing"
        )
    query = dict(parsed.query)
    # libpq's name for it, as hosted databases print it in their URLs; asyncpg calls it ssl.
    if "sslmode" in query:
        query.setdefault("ssl", query.pop("sslmode"))
    url = parsed.set(drivername="postgresql+asyncpg", query=query)
    public = url.set(drivername="postgresql", query={k: v for k, v in query.items() if k not in ("password", "user")})
    return StoreUrl("postgresql", url, public.render_as_string(hide_password=True))
