"""`literesearcher store` over stores of other versions: advice that leads somewhere."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from literesearcher.cli.store import command


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LITERESEARCHER_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(verb: str) -> tuple[object, str]:
    result = CliRunner().invoke(command, [verb], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.output


def change(data_dir: Path, statement: str) -> None:
    with sqlite3.connect(data_dir / "jobs.sqlite3") as connection:
        connection.execute(statement)


def test_an_empty_place_a_migrated_store_and_one_of_a_newer_version(data_dir: Path):
    code, said = invoke("status")
    assert code == 1
    assert "store migrate" in said
    code, said = invoke("migrate")
    assert code == 0
    assert "store migrate" not in said
    change(data_dir, "UPDATE alembic_version SET version_num = '0099'")
    for verb in ("status", "migrate"):
        code, said = invoke(verb)
        assert code == 0
        assert "0099" in said
        assert "a newer version made this store" in said
        assert "run `literesearcher store migrate`" not in said


def test_a_store_that_only_a_newer_version_may_read(data_dir: Path):
    invoke("migrate")
    change(data_dir, "UPDATE store_meta SET value = '99' WHERE name = 'min_level'")
    code, said = invoke("status")
    assert code == 1
    assert "install a newer literesearcher" in said
    assert "run `literesearcher store migrate`" not in said
