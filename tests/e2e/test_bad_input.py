"""Input that no program can use: exit code 2, one line, no traceback, nothing on stdout."""

from __future__ import annotations

import socket
import sqlite3

import pytest


def refused(ended, *words: str) -> None:
    assert ended.code == 2, ended
    assert ended.out == ""
    lines = ended.err.splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("literesearcher: ")
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("arguments", "stdin", "word"),
    [
        (["research", ""], None, "empty"),
        (["research", "  \n "], None, "empty"),
        (["research", b"caf\xe9 \xff\xfe"], None, "UTF-8"),
        (["research", "-"], b"caf\xe9", "UTF-8"),
        (["research", "-"], b"x" * 1_048_576, "1,000,000"),
        (["research", "x" * 100_001], None, "100,000"),
        (["research", "-"], b"nul \x00 byte", "NUL"),
        (["research", "q", "--max-turns", "0"], None, "max_turns"),
        (["research", "q", "--timeout", "-1"], None, "timeout"),
        (["research", "q", "--timeout", "nan"], None, "timeout"),
        (["research", "--resume", "job_0123"], None, "job"),
        (["research", "--resume", "../../etc/passwd"], None, "job"),
        (["batch", "nowhere.jsonl", "--out", "out"], None, "nowhere.jsonl"),
        (["jobs", "show", "job_0123"], None, "job"),
        (["keys", "revoke", "none"], None, "none"),
        (["corpus", "add", "nowhere.md"], None, "nowhere.md"),
        (["corpus", "remove", "nothing"], None, "nothing"),
    ],
)
async def test_a_value_is_refused_in_one_line(program, arguments, stdin, word: str):
    refused(await program.run(*arguments, stdin=stdin), word)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("LITERESEARCHER_ENGINE_BASE_URL", "http://x/v1", "LITERESEARCHER_ENGINE__BASE_URL"),
        ("LITERESEARCHER_ENGINE__KIND", "sglang", "SGLANG__MODEL_PATH"),
        ("LITERESEARCHER_ENGINE__BASE_URL", "gpu:30000", "LITERESEARCHER_ENGINE__BASE_URL"),
        ("LITERESEARCHER_GATEWAY__PORT", "many", "LITERESEARCHER_GATEWAY__PORT"),
        ("LITERESEARCHER_STORE__URL", "mysql://u:hunter2@h/d", "sqlite"),
        ("LITERESEARCHER_RESEARCH__SYSTEM_PROMPT_FILE", "/nowhere/prompt", "/nowhere/prompt"),
        ("LITERESEARCHER_DATA_DIR", "/proc/nowhere", "LITERESEARCHER_DATA_DIR"),
    ],
)
async def test_a_setting_is_refused_in_one_line_by_every_command(program, name: str, value: str, word: str):
    program.settings[name] = value
    for arguments in (["research", "q"], ["serve", "--port", "0"]):
        ended = await program.run(*arguments)
        refused(ended, word)
        assert "hunter2" not in ended.err


async def test_a_dotenv_counts_too(program):
    (program.home / ".env").write_text("OTHER=1\nLITERESEARCHER_NONSENSE=1\n")
    refused(await program.run("research", "q"), "LITERESEARCHER_NONSENSE", ".env")


async def test_a_port_in_use_is_named(program):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = await program.run("serve", "--port", port)
    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert port in ended.err.splitlines()[-1]
    assert "LITERESEARCHER_GATEWAY__PORT" in ended.err.splitlines()[-1]


async def test_another_host_without_a_key_is_refused_unless_said_to_be_meant(program):
    ended = await program.run("serve", "--host", "0.0.0.0", "--port", "0")
    assert ended.code == 2
    assert "LITERESEARCHER_GATEWAY__ANONYMOUS" in ended.err


async def test_a_corrupt_store_is_named_and_left_as_it_is(program):
    store = program.data_dir / "jobs.sqlite3"
    store.write_bytes(b"this is no database " * 1000)
    before = store.read_bytes()
    refused(await program.run("research", "q"), "jobs.sqlite3")
    refused(await program.run("keys", "list"), "jobs.sqlite3")
    assert store.read_bytes() == before


async def test_a_store_that_only_a_newer_program_may_read_is_refused(program):
    assert (await program.run("store", "migrate")).code == 0
    store = program.data_dir / "jobs.sqlite3"
    with sqlite3.connect(store) as connection:
        changed = connection.execute("UPDATE store_meta SET value = '999' WHERE name = 'min_level'")
        assert changed.rowcount == 1
    refused(await program.run("keys", "list"), "newer")
