"""The platform's own programs and the replay server, each a process of its own, and a client that follows a job.

Owns: starting, awaiting the first words, killing; posting a job and reading its events to the end, re-joining where a
connection broke. Refuses to know: what a test expects of them. For whole-platform tests and benchmarks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

PATIENCE = 120.0
"""Seconds for a program's first words, or between two events of a job; only a hang meets it."""


class Program:
    """One process; its output goes to a file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log

    @classmethod
    async def start(cls, *command: str, environ: Mapping[str, str], log: Path) -> Program:
        """Run `command`, an argument vector."""
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *command, env=dict(environ), cwd=log.parent, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out
            )
        return cls(process, log)

    async def says(self, pattern: str) -> str:
        """The first group of `pattern` in its output. AssertionError where it ends, or stays silent, before that."""
        async with asyncio.timeout(PATIENCE):
            while True:
                said = self.log.read_text(errors="replace")
                if found := re.search(pattern, said):
                    return found[1]
                assert self.process.returncode is None, f"{self.log.name} ended with {self.process.returncode}:\n{said}"
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """SIGKILL."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """SIGTERM; the exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


@dataclass
class House:
    """Programs of one test, in one folder. `async with` kills what still runs."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    programs: list[Program] = field(default_factory=list)

    async def __aenter__(self) -> House:
        return self

    async def __aexit__(self, *_: object) -> None:
        for program in self.programs:
            await program.kill()

    async def replay(self, rollouts: Path, *options: str) -> str:
        """Start a replay server; its URL. The settings then point everything at it, but what the test has set stays."""
        program = await self._start(
            "replay", sys.executable, "-m", "literesearcher.testing.replay", "--rollouts", str(rollouts), *options
        )
        url = await program.says(r"(http://\S+)\n")
        self.settings = settings_for(url) | self.settings
        return url

    async def serve(self, *options: str) -> tuple[Program, str]:
        """`literesearcher serve`, and its URL."""
        return await self._listening("serve", *options)

    async def gateway(self) -> tuple[Program, str]:
        """`literesearcher gateway`, and its URL."""
        return await self._listening("gateway")

    async def orchestrator(self) -> Program:
        """`literesearcher orchestrator`."""
        return await self._start("orchestrator", *COMMAND, "orchestrator")

    async def ran(self, *arguments: str) -> tuple[int, str]:
        """`literesearcher` with these arguments, run to its end: exit code and output."""
        program = await self._start("command", *COMMAND, *arguments)
        async with asyncio.timeout(PATIENCE):
            code = await program.process.wait()
        return code, program.log.read_text(errors="replace")

    async def _listening(self, command: str, *options: str) -> tuple[Program, str]:
        program = await self._start(command, *COMMAND, command, "--port", "0", *options)
        return program, await program.says(r"listening on (http://\S+)\n")

    async def _start(self, name: str, *command: str) -> Program:
        kept = {
            key: os.environ[key]
            for key in ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LR_CI_RUN")
            if key in os.environ
        }
        environ = kept | {"HOME": str(self.folder), "LITERESEARCHER_DATA_DIR": str(self.folder / "data")}
        log = self.folder / f"{name}-{len(self.programs)}.log"
        program = await Program.start(*command, environ=environ | self.settings, log=log)
        self.programs.append(program)
        return program


COMMAND = (sys.executable, "-m", "literesearcher.cli.main")


def settings_for(url: str) -> dict[str, str]:
    """Environment that points a platform at a replay server."""
    return {
        "LITERESEARCHER_ENGINE__BASE_URL": f"{url}/v1",
        "LITERESEARCHER_SERPER__API_KEY": "replay",
        "LITERESEARCHER_SERPER__BASE_URL": f"{url}/serper",
        "LITERESEARCHER_JINA__BASE_URL": f"{url}/jina",
        "LITERESEARCHER_JINA__SELF_HOSTED": "false",  # it opens nothing, and recorded hosts need not resolve here
        "LITERESEARCHER_TOOLS__SEARCH": '["serper"]',
        "LITERESEARCHER_TOOLS__PAGES": '["jina"]',
        "LITERESEARCHER_TOOLS__CACHE": "off",
        "LITERESEARCHER_TOOLS__FIDELITY": "published",
        # A second request for the same thing might come when the turn that it belongs to is over.
        "LITERESEARCHER_TOOLS__HEDGE": "false",
        # What is replayed is local: it is to be slow only where a test makes it so.
        "LITERESEARCHER_TOOLS__HOST_PER_SECOND": "100000",
        "LITERESEARCHER_TOOLS__HOST_CONCURRENCY": "1000",
        **{f"LITERESEARCHER_{name}__PER_SECOND": "100000" for name in ("SERPER", "JINA")},
        **{f"LITERESEARCHER_{name}__BURST": "100000" for name in ("SERPER", "JINA")},
    }


@dataclass
class Followed:
    """What a client heard of a job. `events` by sequence number, in order; `deltas` as they came."""

    job: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    deltas: list[dict[str, Any]] = field(default_factory=list)
    joins: int = 0

    @property
    def running(self) -> bool:
        """An orchestrator has taken the job and it has not ended."""
        types = [event["type"] for event in self.events]
        return "attempt.started" in types and "job.ended" not in types


async def post(session: aiohttp.ClientSession, base: str, question: str) -> Followed:
    """POST a job."""
    async with session.post(f"{base}/v1/research", json={"input": question}) as response:
        assert response.status == 202, await response.text()
        return Followed(await response.json())


async def follow(
    session: aiohttp.ClientSession, base: str, followed: Followed, on_event: Callable[[Followed], None] | None = None
) -> Followed:
    """Read the job's event stream to its end, re-joining after the last event seen; then get the job as it ended.

    AssertionError where a sequence number is missing or comes twice.
    """
    url = base + followed.job["links"]["self"]
    while not followed.events or followed.events[-1]["type"] != "job.ended":
        followed.joins += 1
        headers = {"Accept": "text/event-stream"}
        if followed.events:
            headers["Last-Event-ID"] = str(followed.events[-1]["seq"])
        timeout = aiohttp.ClientTimeout(total=None, sock_read=PATIENCE)
        with contextlib.suppress(aiohttp.ClientPayloadError):
            async with session.get(f"{url}/events", headers=headers, timeout=timeout) as response:
                assert response.status == 200, await response.text()
                await _read(response, followed, on_event)
        assert followed.joins < 100, "the stream ends without job.ended again and again"
    async with session.get(url) as response:
        followed.job = await response.json()
    return followed


async def _read(
    response: aiohttp.ClientResponse, followed: Followed, on_event: Callable[[Followed], None] | None
) -> None:
    rest = b""
    async for part in response.content.iter_any():
        *blocks, rest = (rest + part).split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line and line[:1] != b":")
            if b"data" not in fields:
                continue
            data = orjson.loads(fields[b"data"])
            if b"id" not in fields:
                followed.deltas.append(data)
                continue
            assert int(fields[b"id"]) == data["seq"] == len(followed.events) + 1, "an event is missing or came twice"
            followed.events.append(data)
            if on_event is not None:
                on_event(followed)


async def report(session: aiohttp.ClientSession, replay_url: str) -> dict[str, Any]:
    """What the replay server saw."""
    async with session.get(f"{replay_url}/replay/report") as response:
        found: dict[str, Any] = await response.json()
        return found
