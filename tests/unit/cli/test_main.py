"""The command line itself: what it loads, and what ends it."""

import subprocess
import sys

import pytest

from literesearcher.cli import main

HEAVY = ("aiohttp", "fastapi", "sqlalchemy", "tantivy", "rich", "pydantic", "tokenizers", "uvicorn", "asyncio")


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(argument: str):
    program = (
        "import sys\n"
        "from literesearcher.cli.main import run\n"
        f"code = run([{argument!r}])\n"
        "print('loaded', sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = done.stderr.rpartition("loaded ")[2]
    assert not [name for name in HEAVY if f"'{name}'" in loaded]
    if argument == "--help":
        assert all(name in done.stdout for name in main.COMMANDS)


@pytest.mark.parametrize("name", list(main.COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]):
    assert main.run([name, "--help"]) == 0
    assert "Usage: literesearcher " + name in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["--nope"],
        ["research"],
        ["research", "a", "--resume", "job_1"],
        ["research", "--resume", "job_1", "--max-turns", "3"],
        ["research", "q", "--max-turns", "three"],
        ["batch", "x.jsonl"],
        ["batch", "x.jsonl", "--out", "o", "--rollouts", "0"],
        ["keys", "create", "bad name"],
        ["serve", "--port", "99999"],
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main.run(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("literesearcher: ")
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["a"], ["--question-env", "Q"]])
def test_a_question_and_a_job_to_resume_are_not_both_taken(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main.run(["research", "--resume", "job_1", *arguments]) == 2
    assert "not both" in capsys.readouterr().err
    assert main.run(["research"]) == 2
    assert "not both" not in capsys.readouterr().err
