"""A Ray of one machine, started and ended by us: its processes, its folder, its token, and the note that names them.

Owns: a temporary folder of its own, loopback addresses, free ports, the token without which Ray answers nobody, and
that ending it ends what it started and nothing else. Refuses to know: Serve, the applications.
Ray turns 127.0.0.1 into the machine's first outside address; 127.0.0.2 stays inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock

HOST = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""Turns and tool results go inline or nearly so; Ray's own default is a third of the memory."""
START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class LocalRay:
    """One that runs, or ran. `leader`: the process that heads the session of all its processes."""

    leader: int
    started: str
    """By the kernel, so that another process under the same number is not taken for it."""
    address: str
    folder: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be let in."""
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(Path(self.folder) / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    @property
    def alive(self) -> bool:
        """Does its first process run?"""
        return _start_of(self.leader) == self.started


def find(note: Path) -> LocalRay | None:
    """The one that the note names, if it runs."""
    try:
        found = LocalRay(**orjson.loads(note.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.alive else None


async def start(note: Path, environ: Mapping[str, str], *, cpus: int, gpus: int | None, clock: Clock) -> LocalRay:
    """Start one and note it. `environ` reaches every replica. BoundaryError `ray_start` with Ray's last words."""
    folder = _made_folder()
    port, client_port = _free_ports(2)
    log = folder / "start.log"
    with log.open("wb") as out:
        leader = await asyncio.create_subprocess_exec(
            *_command(folder, port, client_port, cpus, gpus),
            env={**environ, **LocalRay(0, "", "", str(folder)).environment},
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    ray = LocalRay(leader.pid, _start_of(leader.pid) or "", f"{HOST}:{port}", str(folder))
    _write(note, ray)
    try:
        await _until_up(leader, log, clock)
    except BaseException:
        end(note, ray)
        raise
    return ray


async def _until_up(leader: asyncio.subprocess.Process, log: Path, clock: Clock) -> None:
    deadline = clock.monotonic() + START_SECONDS
    while "Ray runtime started" not in (said := _read(log)):
        if leader.returncode is not None or clock.monotonic() > deadline:
            raise BoundaryError(f"Ray did not start: {' '.join(said.split())[-300:]}", code="ray_start")
        await clock.sleep(0.1)


def _made_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="literesearcher-ray-"))
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    return folder


def _write(note: Path, ray: LocalRay) -> None:
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    note.write_bytes(orjson.dumps(asdict(ray)))


def _read(log: Path) -> str:
    return log.read_text(errors="replace")


def _command(folder: Path, port: int, client_port: int, cpus: int, gpus: int | None) -> list[str]:
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"),
        *(f"--node-ip-address={HOST}", f"--port={port}", f"--ray-client-server-port={client_port}"),
        *(f"--temp-dir={folder / 'ray'}", f"--num-cpus={cpus}", f"--object-store-memory={OBJECT_STORE_BYTES}"),
        *("--include-dashboard=false", "--include-log-monitor=false"),
        *("--min-worker-port=0", "--max-worker-port=0", "--metrics-export-port=0"),
        *("--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0", "--runtime-env-agent-port=0"),
        *([f"--num-gpus={gpus}"] if gpus is not None else []),
    ]


def end(note: Path, ray: LocalRay) -> None:
    """Kill every process of its session, and remove its folder and the note. Serve was shut down before, or is lost.

    Not SIGTERM: Ray would wait for half a minute for what may still run.
    """
    if ray.alive:
        for pid in _session(ray.leader):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(ray.folder, ignore_errors=True)
    note.unlink(missing_ok=True)


def _session(leader: int) -> list[int]:
    """Every process of the leader's session, the leader first: it would see to the others' end in its own way."""
    found = []
    for entry in Path("/proc").glob("[0-9]*") if Path("/proc").is_dir() else ():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(entry.name)) == leader:
                found.append(int(entry.name))
    return [leader, *(pid for pid in found if pid != leader)]


def _start_of(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; "" where there is no /proc to ask, None where it does not run."""
    try:
        os.kill(pid, 0)
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except ProcessLookupError:
        return None
    except OSError:
        return "" if not Path("/proc").is_dir() else None
    return None if fields[0] == "Z" else fields[19]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in taken]
