"""`literesearcher store` over stores of other versions: advice that leads somewhere."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from literesearcher.cli.main import literesearcher
from literesearcher.errors import ConfigurationError


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LITERESEARCHER_DATA_DIR", str(tmp_path))
    # The doctor builds no corpus where none is used.
    monkeypatch.setenv("LITERESEARCHER_SERPER__API_KEY", "k")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> tuple[object, str]:
    result = CliRunner().invoke(literesearcher, arguments, standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.output


def change(data_dir: Path, statement: str, *values: str) -> None:
    with sqlite3.connect(data_dir / "jobs.sqlite3") as connection:
        connection.execute(statement, values)
    connection.close()


def doctor_on_the_store() -> str:
    _, said = invoke("doctor", "--no-questions")
    lines = said.splitlines()
    [at] = [number for number, line in enumerate(lines) if line[6:].startswith("store ")]
    return "\n".join(lines[at : at + 2])


def test_an_empty_place_and_a_migrated_store(data_dir: Path):
    code, said = invoke("store", "status")
    assert code == 1
    assert "store migrate" in said
    for verb in ("migrate", "status"):
        code, said = invoke("store", verb)
        assert code == 0
        assert "store migrate" not in said
        assert "newer" not in said


@pytest.mark.parametrize("revision", ["0099", "0000x", "a1b2c3d4e5f6"])
def test_a_store_that_a_newer_version_made(data_dir: Path, revision: str):
    invoke("store", "migrate")
    change(data_dir, "UPDATE alembic_version SET version_num = ?", revision)
    for verb in ("status", "migrate"):
        code, said = invoke("store", verb)
        assert code == 0
        assert revision in said
        assert "made by a newer version" in said
        assert "store migrate" not in said
    assert invoke("jobs", "list")[0] == 0
    said = doctor_on_the_store()
    assert "made by a newer version" in said
    assert "store migrate" not in said


def test_a_store_that_only_a_newer_version_may_read(data_dir: Path):
    invoke("store", "migrate")
    change(data_dir, "UPDATE alembic_version SET version_num = '0099'")
    change(data_dir, "UPDATE store_meta SET value = '99' WHERE name = 'min_level'")
    change(data_dir, "ALTER TABLE jobs RENAME TO works")
    code, said = invoke("store", "status")
    assert code == 1
    for text in (said, doctor_on_the_store()):
        assert "made by a newer version" in text
        assert "install a newer literesearcher" in text
        assert "store migrate" not in text
    with pytest.raises(ConfigurationError, match="made by a newer version"):
        CliRunner().invoke(literesearcher, ["store", "migrate"], standalone_mode=False, catch_exceptions=False)


@pytest.mark.parametrize("folder", ["what?", "a#b", "100%", "a%20b", "a b", "a?mode=memory", "é%3F"])
def test_a_data_directory_of_any_name(data_dir: Path, folder: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LITERESEARCHER_DATA_DIR", str(data_dir / folder))
    assert invoke("store", "migrate")[0] == 0
    assert {file.name for file in data_dir.iterdir()} == {folder}
    assert (data_dir / folder / "jobs.sqlite3").is_file()
    code, said = invoke("store", "status")
    assert code == 0
    # What is shown is a URL that means the same file.
    monkeypatch.setenv("LITERESEARCHER_STORE__URL", said.splitlines()[0].split(maxsplit=1)[1])
    monkeypatch.setenv("LITERESEARCHER_DATA_DIR", str(data_dir / "other"))
    assert invoke("store", "status")[0] == 0
    assert invoke("jobs", "list")[0] == 0
