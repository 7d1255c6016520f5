"""Every store keeps the store's contract: in memory, on SQLite, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from literesearcher.jobs.ports import Store
from literesearcher.jobs.sql_store import open_store
from literesearcher.testing.contracts.store import StoreContract
from literesearcher.testing.memory_store import MemoryStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()

    @pytest.fixture
    def second(self, store: Store) -> Store:
        return store


class SqlContract(StoreContract):
    @pytest.fixture
    async def store(self, url: str) -> AsyncIterator[Store]:
        store = await open_store(url, migrate=True)
        yield store
        await store.aclose()

    @pytest.fixture
    async def second(self, url: str, store: Store) -> AsyncIterator[Store]:
        second = await open_store(url)
        yield second
        await second.aclose()


class TestSqliteStore(SqlContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'jobs.sqlite3'}"


class TestPostgresStore(SqlContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url
