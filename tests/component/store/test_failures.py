"""Each way in which a store can be unusable has its code, a message that says what to do, and no password in it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.jobs.sql_store import migrate, open_store, status
from literesearcher.research.events import ToolCompleted
from literesearcher.testing.contracts.store_jobs import LEASE, create, now, started, tool

SECRET = "hunter2secret"
BIG = ToolCompleted(1, "visit", {}, "x" * 200_000)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "jobs.sqlite3"


@pytest.fixture
def few_pages() -> Iterator[list[int]]:
    """While it holds a number, new connections may not let the file grow beyond so many pages: a full disk."""
    limit: list[int] = []

    def connected(connection: sqlite3.Connection, _: object) -> None:
        if limit and isinstance(connection, sqlite3.Connection):
            connection.execute(f"PRAGMA max_page_count={limit[0]}")

    event.listen(Engine, "connect", connected)
    yield limit
    event.remove(Engine, "connect", connected)


async def test_the_folder_is_made_for_its_owner_alone(file: Path) -> None:
    store = await open_store(f"sqlite:///{file}")
    await store.aclose()
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["jobs.sqlite3"]


async def test_a_full_disk(file: Path, few_pages: list[int]) -> None:
    """The append fails whole; what was there can be read; with room again the same append goes through."""
    few_pages.append(120)
    store = await open_store(f"sqlite:///{file}")
    job = await create(store)
    await store.claim("w", lease_seconds=LEASE)
    seq = 2

    async def fill() -> None:
        nonlocal seq
        while seq < 100:
            await store.append(job.id, fence=1, expected_seq=seq, attempt=1, at=now(), events=[tool(1), BIG])
            seq += 2

    with pytest.raises(BoundaryError) as caught:
        await fill()
    assert (caught.value.code, caught.value.transient) == ("store_full", False)
    assert str(file) in caught.value.message
    assert len(await store.read(job.id)) == (await store.get("acme", job.id)).last_seq == seq - 1
    await store.aclose()
    few_pages.clear()
    store = await open_store(f"sqlite:///{file}")
    await store.append(job.id, fence=1, expected_seq=seq, attempt=1, at=now(), events=[tool(1), BIG])
    await store.aclose()


async def test_a_full_disk_for_one_is_not_anothers_failure(file: Path, few_pages: list[int]) -> None:
    """Appends that wait together share a transaction, but not a fate."""
    few_pages.append(120)
    store = await open_store(f"sqlite:///{file}")
    jobs = [await create(store) for _ in range(6)]
    await store.claim("w", lease_seconds=LEASE, limit=6)
    huge = ToolCompleted(1, "visit", {}, "x" * 2_000_000)
    results = await asyncio.gather(
        *(
            store.append(
                job.id, fence=1, expected_seq=2, attempt=1, at=now(), events=[huge if index == 2 else started()]
            )
            for index, job in enumerate(jobs)
        ),
        return_exceptions=True,
    )
    assert [isinstance(result, BoundaryError) for result in results] == [index == 2 for index in range(6)]
    for index, job in enumerate(jobs):
        assert len(await store.read(job.id)) == (1 if index == 2 else 2)
    await store.aclose()


async def test_closing_while_a_group_fails(file: Path, few_pages: list[int]) -> None:
    """Everyone who waits gets an answer, though the store is being closed under them."""
    few_pages.append(120)
    store = await open_store(f"sqlite:///{file}")
    jobs = [await create(store) for _ in range(8)]
    await store.claim("w", lease_seconds=LEASE, limit=8)
    huge = ToolCompleted(1, "visit", {}, "x" * 2_000_000)
    appends = [
        asyncio.create_task(
            store.append(
                job.id, fence=1, expected_seq=2, attempt=1, at=now(), events=[huge if index % 2 else started()]
            )
        )
        for index, job in enumerate(jobs)
    ]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await store.aclose()
        results = await asyncio.gather(*appends, return_exceptions=True)
    codes = [getattr(result, "code", "done") for result in results]
    assert codes == ["done", "store_full"] * 4


async def test_a_file_that_is_no_database(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"{" * 5000)
    for opening in (open_store, status, migrate):
        with pytest.raises(ConfigurationError) as caught:
            await opening(f"sqlite:///{file}")
        assert caught.value.code == "store_corrupt"
        assert str(file) in caught.value.message
        assert "backup" in caught.value.message
    assert file.read_bytes() == b"{" * 5000


async def test_a_store_that_is_damaged_later(file: Path) -> None:
    """Reading the damaged part fails by its code, and the program goes on."""
    store = await open_store(f"sqlite:///{file}")
    job = await create(store)
    await store.claim("w", lease_seconds=LEASE)
    await store.append(job.id, fence=1, expected_seq=2, attempt=1, at=now(), events=[tool(1), BIG, BIG, BIG])
    await store.aclose()
    content = bytearray(file.read_bytes())
    with sqlite3.connect(file) as connection:
        root, page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'").fetchone()[0], 4096
    connection.close()
    content[(root - 1) * page : root * page] = b"\xff" * page
    file.write_bytes(content)
    store = await open_store(f"sqlite:///{file}")
    with pytest.raises(BoundaryError) as caught:
        await store.read(job.id)
    assert (caught.value.code, caught.value.transient) == ("store_corrupt", False)
    assert (await store.get("acme", job.id)).last_seq == 5
    await store.aclose()


async def test_a_store_for_newer_programs(file: Path) -> None:
    """Refused only where the store says so; one that a newer program merely migrated is used."""
    url = f"sqlite:///{file}"
    await migrate(url)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("ALTER TABLE jobs ADD COLUMN later TEXT")
    connection.close()
    store = await open_store(url)
    job = await create(store)
    assert (await store.get("acme", job.id)).id == job.id
    await store.aclose()
    assert (await migrate(url)).revision == "9999"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE store_meta SET value = '2' WHERE name = 'min_level'")
    connection.close()
    for opening in (open_store, migrate):
        with pytest.raises(ConfigurationError) as caught:
            await opening(url)
        assert caught.value.code == "store_too_new"
    assert (await status(url)).min_level == 2


async def test_another_process_that_does_not_let_go(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waited for, then transient; afterwards all is well."""
    monkeypatch.setattr("literesearcher.jobs.sql.sqlite.BUSY_SECONDS", 0.1)
    store = await open_store(f"sqlite:///{file}")
    job = await create(store)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BoundaryError) as caught:
        await create(store)
    assert (caught.value.code, caught.value.transient) == ("store_unreachable", True)
    assert (await store.get("acme", job.id)).status == "queued"
    other.execute("ROLLBACK")
    other.close()
    await create(store)
    await store.aclose()


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("", "store_url_invalid", "sqlite:///"),
        ("not a url", "store_url_invalid", "sqlite:///"),
        (f"mysql://u:{SECRET}@host/db", "store_url_invalid", "postgresql"),
        ("sqlite://", "store_url_invalid", "no file"),
        ("sqlite:///:memory:", "store_url_invalid", "no file"),
        (f"postgresql://u:{SECRET}@host:port/db", "store_url_invalid", "postgresql"),
        ("sqlite:////dev/null/jobs.sqlite3", "store_not_writable", "LITERESEARCHER_DATA_DIR"),
        ("sqlite:////proc/none/jobs.sqlite3", "store_not_writable", "LITERESEARCHER_DATA_DIR"),
    ],
)
async def test_a_url_that_cannot_be_opened(url: str, code: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await open_store(url)
    assert caught.value.code == code
    assert says in caught.value.message
    assert SECRET not in str(caught.value) + repr(caught.value.__cause__)


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder whose files this process may read and not write; as root it becomes nobody for a while."""
    folder = Path(tempfile.mkdtemp(prefix="lr-locked-"))
    yield folder
    if os.getuid() == 0:
        os.seteuid(0)
    folder.chmod(0o700)
    shutil.rmtree(folder)


async def test_a_file_that_may_not_be_written(locked_folder: Path) -> None:
    url = f"sqlite:///{locked_folder / 'jobs.sqlite3'}"
    await migrate(url)
    (locked_folder / "jobs.sqlite3").chmod(0o444)
    locked_folder.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)

    async def use() -> None:
        store = await open_store(url)
        await create(store)

    with pytest.raises(ConfigurationError) as caught:
        await use()
    assert caught.value.code == "store_not_writable"
    assert "LITERESEARCHER_DATA_DIR" in caught.value.message


async def test_a_folder_where_the_file_should_be(file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(ConfigurationError) as caught:
        await open_store(f"sqlite:///{file}")
    assert caught.value.code == "store_not_writable"


async def test_without_the_postgresql_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "asyncpg" else find(name))
    with pytest.raises(ConfigurationError) as caught:
        await open_store(f"postgresql://u:{SECRET}@localhost/db")
    assert caught.value.code == "store_driver_missing"
    assert "literesearcher[postgres]" in caught.value.message


async def test_a_postgresql_that_is_not_there() -> None:
    with pytest.raises(BoundaryError) as caught:
        await open_store(f"postgresql://u:{SECRET}@127.0.0.1:1/db")
    assert (caught.value.code, caught.value.transient) == ("store_unreachable", True)
    assert "127.0.0.1:1" in caught.value.message
    assert SECRET not in caught.value.message


async def test_a_postgresql_that_nobody_migrated(postgres_url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await open_store(postgres_url)
    assert caught.value.code == "store_not_migrated"
    assert "literesearcher store migrate" in caught.value.message
    assert (await status(postgres_url)).revision is None


async def test_a_database_that_does_not_exist(postgres_url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await open_store(f"{postgres_url}_none")
    assert caught.value.code == "store_refused"


@pytest.mark.parametrize("query", ["sslmode=disable", "ssl=disable"])
async def test_url_options_as_hosted_databases_print_them(postgres_url: str, query: str) -> None:
    store = await open_store(f"{postgres_url}?{query}", migrate=True)
    await create(store)
    await store.aclose()


async def test_an_unknown_url_option_is_named_as_such(postgres_url: str) -> None:
    with pytest.raises(ConfigurationError):
        await open_store(f"{postgres_url}?colour=blue")
