"""Migrations: they make what the code expects, at once or never, in several processes at the same time."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, text

from literesearcher.jobs.ids import new_id
from literesearcher.jobs.spending import NO_LIMIT, Spend
from literesearcher.jobs.sql.jobs import create as create_job
from literesearcher.jobs.sql.revisions import REVISIONS
from literesearcher.jobs.sql.schema import HEAD, idempotency, metadata
from literesearcher.jobs.sql_store import SqlStore, migrate, open_store, status
from literesearcher.testing.contracts.store_jobs import create, end, wish

MIGRATE = "import asyncio, sys; from literesearcher.jobs.sql_store import migrate; asyncio.run(migrate(sys.argv[1]))"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.sqlite3'}"
    return str(request.getfixturevalue("postgres_url"))


def test_the_revisions_are_those_that_the_code_names() -> None:
    config = Config()
    config.set_main_option("script_location", "literesearcher.jobs:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [HEAD]
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS


async def test_the_tables_are_what_the_code_expects(url: str) -> None:
    store = await open_store(url, migrate=True)

    def differences(conn: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(conn), metadata)

    assert await store._runner.read(differences) == []
    await store.aclose()


async def test_several_processes_migrate_at_once(url: str) -> None:
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, url) for _ in range(3)]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    found = await status(url)
    assert (found.revision, found.head, found.min_level, found.jobs) == (HEAD, HEAD, 1, {})


async def test_several_handles_open_a_new_store_at_once(tmp_path: Path) -> None:
    """As `serve`, `research` and `keys create` do on a fresh machine."""
    url = f"sqlite:///{tmp_path / 'new' / 'jobs.sqlite3'}"
    stores = await asyncio.gather(*(open_store(url) for _ in range(6)))
    await asyncio.gather(*(create(store) for store in stores))
    assert len((await stores[0].list("acme")).jobs) == 6
    await asyncio.gather(*(store.aclose() for store in stores))


async def test_a_migration_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("cut off in the middle")

    with monkeypatch.context() as patch:
        patch.setattr(op, "bulk_insert", broken)
        with pytest.raises(RuntimeError):
            await migrate(url)
    assert (await status(url)).revision is None
    assert (await migrate(url)).revision == HEAD


async def test_a_store_of_the_first_revision_keeps_its_jobs(url: str) -> None:
    """A program of before made it; nothing of it is lost, and the ledger begins empty."""
    from literesearcher.jobs.sql.url import parse
    from literesearcher.jobs.sql_store import _open_runner

    runner = await _open_runner(parse(url))

    def first(conn: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", "literesearcher.jobs:migrations")
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")

    await runner.write(first)
    job, _ = await runner.write(partial(create_job, new=wish(), job_id=new_id("job"), budget=NO_LIMIT))
    await runner.aclose()
    assert (await status(url)).standing == "behind"
    store = await open_store(url, migrate=True)
    assert (await store.get("acme", job.id)).id == job.id
    assert await store.spent("acme", "2026-01-01") == Spend()
    await store.aclose()


async def test_status_tells_and_changes_nothing(url: str, tmp_path: Path) -> None:
    assert (await status(url)).revision is None
    assert list(tmp_path.iterdir()) == []
    store = await open_store(url, migrate=True)
    await create(store)
    await end(store, await create(store))
    await store.aclose()
    assert (await status(url)).jobs == {"queued": 1, "completed": 1}


async def test_an_idempotency_key_is_kept_for_a_day(url: str) -> None:
    """By the database's clock. Then it is free, and purge removes it."""
    store = await open_store(url, migrate=True)
    assert isinstance(store, SqlStore)

    def age(seconds: float, conn: Connection) -> None:
        conn.execute(text("UPDATE idempotency SET created_at = created_at - :seconds"), {"seconds": seconds})

    def count(conn: Connection) -> int:
        return len(conn.execute(idempotency.select()).all())

    new = partial(wish, idempotency_key="k", request_digest="d")
    job, _ = await store.create(new())
    await store._runner.write(partial(age, 24 * 3600 - 60))
    again, made = await store.create(new())
    assert (again.id, made) == (job.id, False)
    await store._runner.write(partial(age, 120))
    other, made = await store.create(new())
    assert made
    assert other.id != job.id
    await store._runner.write(partial(age, 24 * 3600 + 60))
    assert await store.purge(ended_before=job.created_at) == 0
    assert await store._runner.read(count) == 0
    await store.aclose()


async def test_a_claim_reads_no_whole_queue(tmp_path: Path) -> None:
    """SQLite's plan of every statement of a claim searches by index: a long queue costs what a short one does."""
    store = await open_store(f"sqlite:///{tmp_path / 'jobs.sqlite3'}")
    for tenant in ("a", "b"):
        await create(store, tenant)
    asked: list[tuple[str, object]] = []

    def note(conn: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    assert len(await store.claim("w", lease_seconds=60, limit=2)) == 2
    event.remove(Engine, "before_cursor_execute", note)

    def plans(conn: Connection) -> list[str]:
        return [
            row.detail
            for statement, parameters in asked
            if not statement.startswith("BEGIN")
            for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]

    details = await store._runner.read(plans)
    assert [detail for detail in details if "ix_jobs_queue" in detail]
    assert not [detail for detail in details if detail.startswith(("SCAN jobs", "SCAN head", "SCAN candidate"))]
    await store.aclose()
