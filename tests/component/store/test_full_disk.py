"""A full disk by its name, wherever SQLite meets it, and a store that notices by itself that there is room again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

import services
from literesearcher.errors import BoundaryError, ConfigurationError, LiteResearcherError
from literesearcher.jobs.sql import failures
from literesearcher.jobs.sql_store import SqlStore, open_store
from literesearcher.research.events import ToolCompleted
from literesearcher.testing.contracts.store_jobs import LEASE, create, now, tool

KIB = 1024


@pytest.mark.parametrize("room", [0, 4 * KIB, 28 * KIB, 32 * KIB, 48 * KIB, 64 * KIB, 100 * KIB])
async def test_a_first_store_on_a_full_disk(small_disk: services.SmallDisk, room: int) -> None:
    """Whatever SQLite calls the failure at the file, its log or its shared memory. With room it is made."""
    url = f"sqlite:///{small_disk.path / 'jobs.sqlite3'}"
    small_disk.leave(room)
    with pytest.raises(LiteResearcherError) as caught:
        await open_store(url)
    assert caught.value.code == "store_full"
    assert "make room" in caught.value.message
    small_disk.empty()
    store = await open_store(url)
    await create(store)
    await store.aclose()


@pytest.mark.parametrize("room", [0, 4 * KIB, 28 * KIB, 64 * KIB])
async def test_an_old_store_on_a_full_disk_is_opened_or_says_so(small_disk: services.SmallDisk, room: int) -> None:
    url = f"sqlite:///{small_disk.path / 'jobs.sqlite3'}"
    store = await open_store(url)
    job = await create(store)
    await store.aclose()
    small_disk.leave(room)
    try:
        store = await open_store(url)
    except LiteResearcherError as error:
        assert error.code == "store_full"  # noqa: PT017 - both are right
        small_disk.empty()
        store = await open_store(url)
    assert (await store.get("acme", job.id)).id == job.id
    await store.aclose()


async def test_a_disk_that_fills_up_under_a_store(small_disk: services.SmallDisk) -> None:
    """From the first write that finds no room the store says that it cannot be written, until there is room."""
    store = await open_store(f"sqlite:///{small_disk.path / 'jobs.sqlite3'}")
    await fill_and_recover(store, lambda: small_disk.leave(40 * KIB), small_disk.empty)
    await store.aclose()


async def test_a_store_that_may_not_grow(tmp_path: Path) -> None:
    """The same without a disk of its own."""
    store = await open_store(f"sqlite:///{tmp_path / 'jobs.sqlite3'}")

    def limit(pages: int) -> None:
        # The writer's connection, from its own thread.
        lane = store._runner._runner._writer  # type: ignore[attr-defined]
        lane._thread.submit(lane._driver.execute, f"PRAGMA max_page_count={pages}").result()

    await fill_and_recover(store, lambda: limit(1), lambda: limit(1_000_000))
    await store.aclose()


async def fill_and_recover(store: SqlStore, fill, empty) -> None:
    job = await create(store)
    await store.claim("w", lease_seconds=LEASE)
    fill()
    await store.check()
    large = ToolCompleted(1, "visit", {}, "x" * 2_000_000)
    with pytest.raises(BoundaryError) as caught:
        await store.append(job.id, fence=1, expected_seq=2, attempt=1, at=now(), events=[tool(1), large])
    assert caught.value.code == "store_full"
    # A look at the queue that finds nothing needs no room, and proves none.
    assert await store.claim("w", lease_seconds=LEASE) == []
    for _ in range(2):
        with pytest.raises(BoundaryError) as caught:
            await store.check()
        assert caught.value.code == "store_full"
    assert (await store.get("acme", job.id)).last_seq == 1
    empty()
    await store.check()
    await store.append(job.id, fence=1, expected_seq=2, attempt=1, at=now(), events=[tool(1), large])
    await store.check()
    assert [row.seq for row in await store.read(job.id)] == [1, 2, 3]


def test_an_io_error_with_room_on_the_disk_is_another_thing(tmp_path: Path) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_READ"
    found = failures.translate(error, "sqlite:///x", tmp_path)
    assert isinstance(found, BoundaryError)
    assert (found.code, found.transient) == ("store_unreachable", True)


def test_a_full_disk_stops_a_start() -> None:
    full = BoundaryError("full", code="store_full")
    assert isinstance(failures.refuse_start(full), ConfigurationError)
