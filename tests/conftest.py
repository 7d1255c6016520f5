"""Fixtures that any test may ask for: real services and a disk. Everything else belongs beside the tests that need it.

A service is looked for in the environment (LITERESEARCHER_TEST_POSTGRES_URL, LITERESEARCHER_TEST_REDIS_URL), then among
the machine's binaries, then in wheels. Where there is none the test is skipped with the command that would change
that, or fails with LITERESEARCHER_TEST_STRICT=1.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy.engine import make_url

import services
from literesearcher.cli.session import OneLineFormatter

# No test asserts a time: a busy machine makes any example late.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
STRICT = os.environ.get("LITERESEARCHER_TEST_STRICT") == "1"


@pytest.fixture(autouse=True)
def program_logging_ends() -> Iterator[None]:
    """A command that ran in this process logs to the stderr of its own test, which is closed afterwards."""
    yield
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one.formatter, OneLineFormatter)]:
        root.removeHandler(handler)
        logging.getLogger("literesearcher").setLevel(logging.NOTSET)


def _missing(what: str, command: str) -> None:
    reason = f"no {what} here: {command}"
    if STRICT:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """A server that stays up for the whole run; the URL names a database from which others can be made."""
    named = os.environ.get("LITERESEARCHER_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    binaries = services.postgres_binaries()
    if binaries is None:
        _missing("PostgreSQL", services.GET_POSTGRES)
    server = services.PostgresServer(binaries)
    server.start()
    yield server.url
    server.remove()


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """An empty database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(postgres_server_url, f'CREATE DATABASE "{name}"')
    yield make_url(postgres_server_url).set(database=name).render_as_string(hide_password=False)
    _execute(postgres_server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def postgres_server() -> Iterator[services.PostgresServer]:
    """A started server of this test's own, to stop and start. Never one that the environment names."""
    binaries = services.postgres_binaries()
    if binaries is None:
        _missing("PostgreSQL", services.GET_POSTGRES)
    server = services.PostgresServer(binaries)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A server for the whole run. It may hold other tests' keys."""
    named = os.environ.get("LITERESEARCHER_TEST_REDIS_URL")
    if named:
        yield named
        return
    server = _redis_server()
    yield server.url
    server.remove()


@pytest.fixture
def redis_server() -> Iterator[services.RedisServer]:
    """A started server of this test's own, to stop, freeze and start."""
    server = _redis_server()
    yield server
    server.remove()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[services.SmallDisk]:
    """A disk of 4 MB to fill, for root alone."""
    disk = services.SmallDisk(tmp_path / "disk")
    if not disk.mount():
        pytest.skip("only root may mount a small disk")
    yield disk
    disk.remove()


def _redis_server() -> services.RedisServer:
    binary = services.redis_binary()
    if binary is None:
        _missing("Redis", services.GET_REDIS)
    server = services.RedisServer(binary)
    server.start()
    return server


def _execute(url: str, statement: str) -> None:
    """In a thread: the test's own event loop is none of ours."""

    async def execute() -> None:
        import asyncpg

        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, execute()).result()
