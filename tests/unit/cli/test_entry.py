"""Ctrl-C at moments that a person cannot aim at: while modules are imported, while the loop runs, at the very end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

{setup}
sys.argv = ["literesearcher", *sys.argv[1:]]
from literesearcher.cli.entry import main
main()
"""

AT_IMPORT = """
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            interrupt()

sys.meta_path.insert(0, Interrupting())
"""

IN_A_DESTRUCTOR = """
class Interrupting:
    def __del__(self, kill=os.kill, write=os.write, own=os.getpid()):
        kill(own, 2)
        write(1, b"went on\\n")

sys.interrupting = Interrupting()
"""

IN_THE_LOOP = """
from literesearcher.cli import store

async def status(url):
    import asyncio
    try:
        interrupt()
        await asyncio.sleep(3600)
    finally:
        print("tidied up", flush=True)
        {more}

import literesearcher.jobs.sql_store
literesearcher.jobs.sql_store.status = status
"""


def ends(setup: str, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(setup=setup), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=environ,
        check=False,
    )


@pytest.mark.parametrize(
    "module", ["literesearcher.cli.main", "click", "literesearcher.cli.store", "pydantic", "asyncio", "sqlalchemy"]
)
def test_an_interrupt_during_an_import_is_an_exit_code_and_one_line(module: str, tmp_path: Path):
    done = ends(AT_IMPORT.format(module=module), tmp_path, "store", "status")
    assert (done.returncode, done.stderr, done.stdout) == (130, "literesearcher: cancelled\n", "")


def test_an_interrupt_in_the_loop_lets_the_work_tidy_up(tmp_path: Path):
    done = ends(IN_THE_LOOP.format(more=""), tmp_path, "store", "status")
    assert (done.returncode, done.stderr.lstrip(), done.stdout) == (130, "literesearcher: cancelled\n", "tidied up\n")


def test_a_second_interrupt_leaves_at_once(tmp_path: Path):
    done = ends(IN_THE_LOOP.format(more="interrupt(); print('waited for')"), tmp_path, "store", "status")
    assert (done.returncode, done.stderr, done.stdout) == (130, "literesearcher: cancelled\n", "tidied up\n")


def test_an_interrupt_while_python_takes_itself_down_changes_nothing(tmp_path: Path):
    done = ends(IN_A_DESTRUCTOR, tmp_path, "--version")
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.endswith("went on\n")
