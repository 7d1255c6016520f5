"""`make research Q=…` hands the question over as typed; a machine that lacks something hears what helps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "make", "dirname", "cut", "cat", "printf", "touch", "awk")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed: apt install make")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The build files alone, in a folder of their own."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "bootstrap", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, folder / name)
    return folder


def make(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    # These tests may themselves be run by make, whose variables would tell the inner one that it is a part.
    own = ("Q", "PYTHON", "MFLAGS")
    inherited = {name: value for name, value in os.environ.items() if name not in own and not name.startswith("MAKE")}
    return subprocess.run(
        [shutil.which("make") or "make", *arguments],
        cwd=folder,
        env=inherited | environ,
        capture_output=True,
        timeout=60,
    )


@pytest.fixture
def installed(checkout: Path) -> Path:
    """As if it were installed: a stand-in that repeats the question to the byte."""
    program = checkout / ".venv" / "bin" / "literesearcher"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        "assert sys.argv[1:4] == ['research', '--question-env', 'Q'], sys.argv\n"
        "sys.stdout.buffer.write(os.environb.get(b'Q', b'unset'))\n"
    )
    program.chmod(0o755)
    (checkout / ".venv" / ".base").write_text(str(checkout))
    return checkout


@pytest.mark.parametrize(
    "question",
    [
        "plain",
        "a 'single' and \"double\" quotes",
        "$HOME $$ $(shell id) ${PATH} $x $",
        "`id` ; rm -rf / | cat & #comment % \\ \\n",
        "two\nlines\n\nand more",
        "研究 ε ümlaut",
        "trailing backslash \\",
        "-n --help",
        "",
    ],
)
def test_the_question_arrives_as_typed(installed: Path, question: str):
    given = make(installed, "research", f"Q={question}")
    assert given.returncode == 0, given.stderr
    assert given.stdout == question.encode()
    from_environment = make(installed, "research", Q=question)
    assert from_environment.stdout == question.encode()


def test_nothing_is_installed_again_while_nothing_changed(installed: Path):
    again = make(installed, "--dry-run", "research")
    assert b"bootstrap" not in again.stdout
    later = (installed / ".venv" / ".base").stat().st_mtime + 10
    os.utime(installed / "constraints.txt", (later, later))
    assert b"bootstrap base" in make(installed, "--dry-run", "research").stdout


def test_an_environment_of_a_moved_checkout_is_made_again(installed: Path):
    (installed / ".venv" / ".base").write_text("/somewhere/else")
    assert b"bootstrap base" in make(installed, "--dry-run", "research").stdout


def python_that(says: str, *, new_enough: bool, venv: bool = True) -> str:
    """A stand-in for an interpreter, as the bootstrap asks it."""
    return (
        '#!/bin/sh\ncase "$*" in\n'
        f"    *version_info*) exit {0 if new_enough else 1} ;;\n"
        f"    *ensurepip*) exit {0 if venv else 1} ;;\n"
        f"    *python_version*) echo {says} ;;\n"
        "    *) exit 1 ;;\nesac\n"
    )


@pytest.mark.parametrize(
    ("pythons", "words"),
    [
        ({}, ["needs Python 3.11 or newer", "found none", "apt install"]),
        ({"python3": python_that("3.8.18", new_enough=False)}, ["needs Python 3.11", "3.8.18", "PYTHON="]),
        ({"python3": "#!/bin/sh\nexit 127\n"}, ["needs Python 3.11", "found none"]),
        (
            {"python3": python_that("3.12.3", new_enough=True, venv=False)},
            ["3.12.3", "virtual environment", "apt install python3.12-venv"],
        ),
        (
            {
                "python3": python_that("3.9.2", new_enough=False),
                "python3.12": python_that("3.12.3", new_enough=True, venv=False),
            },
            ["apt install python3.12-venv"],
        ),
    ],
)
def test_a_machine_that_lacks_something_hears_one_sentence(checkout: Path, pythons: dict[str, str], words: list[str]):
    tools = checkout / "bin"
    tools.mkdir()
    for name in TOOLS:
        where = shutil.which(name)
        assert where
        (tools / name).symlink_to(where)
    for name, text in pythons.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    for target in ("research", "test"):
        ended = make(checkout, target, PATH=str(tools))
        assert ended.returncode != 0
        said = [line for line in ended.stderr.decode().splitlines() if not line.startswith("make")]
        assert len(said) == 1, said
        for word in words:
            assert word in said[0]


def test_a_named_interpreter_that_does_not_serve_is_not_replaced(checkout: Path):
    ended = make(checkout, "research", "PYTHON=/nowhere/python")
    assert ended.returncode != 0
    assert b"PYTHON=/nowhere/python does not run" in ended.stderr
