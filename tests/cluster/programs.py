"""The platform's programs over a local Ray in one test: started, asked, ended, and nothing left of them.

Refuses to know: what a test expects of them. Neighbour: `literesearcher.testing.replay.programs`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from literesearcher.testing.replay.programs import Followed, House

TOKEN = "between-us"
SETTINGS = {
    "LITERESEARCHER_CLUSTER__TOKEN": TOKEN,
    "LITERESEARCHER_CLUSTER__TOOLS_MAX_REPLICAS": "1",
    "LITERESEARCHER_CLUSTER__ORCHESTRATOR_MAX_REPLICAS": "1",
    "LITERESEARCHER_CLUSTER__DRAIN_SECONDS": "20",
    "LITERESEARCHER_ORCHESTRATOR__LEASE_SECONDS": "2",
    "LITERESEARCHER_ORCHESTRATOR__POLL_SECONDS": "0.2",
    # A replica comes back in ten seconds and more on a busy machine.
    "LITERESEARCHER_ENGINE__TRIES": "12",
}


@contextlib.asynccontextmanager
async def a_cluster(
    folder: Path, rollouts: Path, *options: str, settings: dict[str, str]
) -> AsyncIterator[tuple[House, str]]:
    """A replay server and the applications; everything ended afterwards. Yields the replay server's URL."""
    async with House(folder, settings) as house:
        replay = await house.replay(rollouts, *options)
        try:
            code, said = await house.ran("cluster", "up")
            assert code == 0, said
            yield house, replay
        finally:
            code, said = await house.ran("cluster", "down")
            assert code == 0, said
            assert left_behind(folder) == []


def settings_with(redis: str) -> dict[str, str]:
    """For a cluster of one test, on a free port."""
    return SETTINGS | {"LITERESEARCHER_REDIS__URL": redis, "LITERESEARCHER_CLUSTER__HTTP_PORT": str(free_port())}


def free_port(host: str = "127.0.0.1") -> int:
    """One that is free now."""
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


async def models(house: House, token: str = TOKEN) -> tuple[int, Any]:
    """What the engine says over Serve's HTTP port."""
    url = f"http://127.0.0.1:{house.settings['LITERESEARCHER_CLUSTER__HTTP_PORT']}/engine/v1/models"
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                    return answer.status, await answer.json()
            await asyncio.sleep(0.2)


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that name this test's Ray."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if b"RAY_AUTH_TOKEN_PATH" in (environ := entry.read_bytes()) and str(folder).encode() in environ:
                found.append((entry.parent / "cmdline").read_text())
    return found


async def pids(house: House) -> dict[str, list[int]]:
    """Process ids of the replicas, by application."""
    _, said = await house.ran("cluster", "status")
    found: dict[str, list[int]] = {}
    name = ""
    for line in said.splitlines():
        if head := re.match(r"(engine|tools|orchestrator) ", line):
            name = head[1]
        elif replica := re.match(r"  \S+ running, pid (\d+) ", line):
            found.setdefault(name, []).append(int(replica[1]))
    return found


async def loaded_modules(folder: Path, pids: list[int]) -> dict[int, set[str]]:
    """The modules of processes that were started with `watching`, by process id."""
    (folder / "tell").touch()
    async with asyncio.timeout(60):
        while not all((folder / f"{pid}.json").exists() for pid in pids):
            await asyncio.sleep(0.1)
    return {pid: set(orjson.loads((folder / f"{pid}.json").read_bytes())) for pid in pids}


def watching(folder: Path) -> dict[str, str]:
    """Environment in which each Python process tells its modules when `loaded_modules` asks."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_WATCHER)
    return {"PYTHONPATH": str(folder)}


_WATCHER = """
import json, os, pathlib, sys, threading, time

def watch():
    folder = pathlib.Path(__file__).parent
    while not (folder / "tell").exists():
        time.sleep(0.2)
    told = folder / f"{os.getpid()}.json"
    told.with_suffix(".new").write_text(json.dumps(sorted(sys.modules)))
    told.with_suffix(".new").rename(told)

threading.Thread(target=watch, daemon=True).start()
"""


def turns_of(job: Followed) -> list[dict[str, Any]]:
    return [event["data"] for event in job.events if event["type"] == "turn.completed"]


def leader(folder: Path) -> int:
    """The first process of this test's local Ray."""
    return int(orjson.loads((folder / "data" / "cluster" / "ray.json").read_bytes())["leader"])


def of_ray(folder: Path, title: str) -> list[int]:
    """Processes of this test's local Ray whose command line holds the title."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(entry.name)) == leader(folder) and title.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found
