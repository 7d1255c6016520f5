"""Runs the real program in processes of its own, each test with a data directory of its own.

The built-in corpus is built once a session and copied: building it anew for every test would only warm the machine.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "literesearcher.cli.main"]
PATIENCE = 120
"""Seconds after which a program that should have said something is given up; never what a test measures."""


@dataclass
class Ended:
    """What a program left behind."""

    code: int
    out: str
    err: str


class Running:
    """A program that runs: its stderr as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.err = ""

    async def hears(self, text: str) -> str:
        """The first stderr line that holds `text`."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while raw := await self.process.stderr.readline():
                line = raw.decode(errors="replace")
                self.err += line
                if text in line:
                    return line.rstrip("\n")
        raise AssertionError(f"{text!r} was never said; stderr was:\n{self.err}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def ends(self) -> Ended:
        async with asyncio.timeout(PATIENCE):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Ended(self.process.returncode, out.decode(errors="replace"), self.err + err.decode(errors="replace"))


@dataclass
class Program:
    """The command line, with an environment that holds nothing of the developer's own."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    started: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        return self.home / "data"

    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TMPDIR")}
        own = {"HOME": str(self.home), "LITERESEARCHER_DATA_DIR": str(self.data_dir)}
        return kept | own | self.settings

    async def start(self, *arguments: str | bytes, stdin: int = asyncio.subprocess.DEVNULL) -> Running:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            cwd=self.home,
            env=self.environ(),
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=8_000_000,
        )
        self.started.append(process)
        return Running(process)

    async def run(self, *arguments: str | bytes, stdin: bytes | None = None) -> Ended:
        running = await self.start(
            *arguments, stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(PATIENCE):
            out, err = await running.process.communicate(stdin)
        assert running.process.returncode is not None
        return Ended(running.process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


@pytest.fixture(scope="session")
def built_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose corpus is built."""

    async def build() -> Path:
        program = Program(tmp_path_factory.mktemp("corpus"))
        ended = await program.run("corpus", "list")
        assert ended.code == 0, ended.err
        return program.data_dir

    return asyncio.run(build())


@pytest.fixture
async def program(tmp_path: Path, built_corpus: Path) -> AsyncIterator[Program]:
    program = Program(tmp_path)
    shutil.copytree(built_corpus, program.data_dir)
    yield program
    for process in program.started:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
