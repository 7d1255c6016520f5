"""A Ray of one machine, started and ended by us: its processes, its folder, its token, and the note that names them.

Owns: a temporary folder of its own, loopback addresses, free ports, the token without which Ray answers nobody, that
ending it ends what it started and nothing else, and that no death of the starter leaves one that no note names. Refuses
to know: Serve, the applications. Ray turns 127.0.0.1 into the machine's first outside address; 127.0.0.2 stays inside.
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
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock

HOST = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""Turns and tool results go inline or nearly so; Ray's own default is a third of the memory."""
START_SECONDS = 120.0
_NAME = "literesearcher-ray-"
_HELD_BACK = 'read -r _ && exec "$@" </dev/null'
"""Ray begins when its note is written: where the starter dies before that, nothing was started."""


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
    found = _noted(note)
    return found if found is not None and found.alive else None


def clear(note: Path) -> bool:
    """End what is left of one whose first process is gone. Was there anything?"""
    left = _noted(note)
    if left is None or left.alive:
        return False
    end(note, left)
    return True


def _noted(note: Path) -> LocalRay | None:
    try:
        found = LocalRay(**orjson.loads(note.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    # Signals to numbers below 2 reach others, or all.
    return found if type(found.leader) is int and found.leader > 1 and isinstance(found.folder, str) else None


@contextlib.asynccontextmanager
async def alone(note: Path, clock: Clock) -> AsyncIterator[None]:
    """Inside the block nobody else starts or ends the Ray of this note. BoundaryError `ray_busy` where somebody does
    for longer than START_SECONDS."""
    import fcntl

    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = clock.monotonic() + START_SECONDS
    with note.with_suffix(".lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if clock.monotonic() > deadline:
                    raise BoundaryError("another command is starting or ending Ray here", code="ray_busy") from None
            await clock.sleep(0.1)
        yield


async def start(note: Path, environ: Mapping[str, str], *, cpus: int, gpus: int | None, clock: Clock) -> LocalRay:
    """Start one and note it. `environ` reaches every replica. BoundaryError `ray_start` with Ray's last words."""
    folder = _made_folder()
    port, client_port = _free_ports(2)
    with (folder / "start.log").open("wb") as out:
        leader = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", _HELD_BACK, "sh", *_command(folder, port, client_port, cpus, gpus)),
            env={**environ, **LocalRay(0, "", "", str(folder)).environment},
            cwd=folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    ray = LocalRay(leader.pid, _start_of(leader.pid) or "", f"{HOST}:{port}", str(folder))
    try:
        _write(note, ray)
        assert leader.stdin is not None
        leader.stdin.write(b"\n")
        leader.stdin.close()
        await ready(ray, clock)
    except BaseException:
        end(note, ray)
        raise
    return ray


async def ready(ray: LocalRay, clock: Clock) -> None:
    """Wait until it takes drivers. BoundaryError `ray_start` where it ends before that."""
    deadline = clock.monotonic() + START_SECONDS
    while "Ray runtime started" not in (said := _read(Path(ray.folder) / "start.log")):
        if not ray.alive or clock.monotonic() > deadline:
            raise BoundaryError(f"Ray did not start: {' '.join(said.split())[-300:]}", code="ray_start")
        await clock.sleep(0.1)


def _made_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=_NAME))
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    return folder


def _write(note: Path, ray: LocalRay) -> None:
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = note.with_suffix(".new")
    fresh.write_bytes(orjson.dumps(asdict(ray)))
    fresh.replace(note)


def _read(log: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return log.read_text(errors="replace")
    return ""


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
    for pid in _session(ray.leader) if ray.alive else _naming(Path(ray.folder).name):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    if Path(ray.folder).name.startswith(_NAME):
        shutil.rmtree(ray.folder, ignore_errors=True)
    note.unlink(missing_ok=True)


def _naming(folder: str) -> list[int]:
    """Processes with the folder in their command lines: Ray's own have it, and its workers end with them."""
    found = []
    # The bare beginning of a name stands in the command lines of every local Ray.
    for entry in Path("/proc").glob("[0-9]*") if folder.startswith(_NAME) and folder != _NAME else ():
        with contextlib.suppress(OSError):
            if folder.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


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
