"""The applications on a Ray that somebody else started: deployed by Ray's own command or by ours, changed one by one,
ended without that Ray; and what is said where it is not there, lets nobody in, or goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.programs import TOKEN, free_port, pids, settings_with
from literesearcher.testing.replay.programs import COMMAND, House, Program
from process_tree import children

HOST = "127.0.0.2"
RAY = (sys.executable, "-m", "ray.scripts.scripts")
SERVE = (sys.executable, "-m", "ray.serve.scripts")
SECRET = "planted-secret"
CHANGES = {
    "engine": ("LITERESEARCHER_SGLANG__CHUNKED_PREFILL_TOKENS", "4096"),
    "tools": ("LITERESEARCHER_TOOLS__BREAKER_FAILURES", "9"),
    "orchestrator": ("LITERESEARCHER_ORCHESTRATOR__GRACE_SECONDS", "11"),
}
"""A setting that this application alone reads."""


@dataclass
class Existing:
    """A head that this test started as an operator would."""

    program: Program
    address: str
    dashboard: str
    token: Path

    @property
    def access(self) -> dict[str, str]:
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token), "RAY_USAGE_STATS_ENABLED": "0"}


@contextlib.asynccontextmanager
async def existing_ray(folder: Path, nodes: dict[str, str]) -> AsyncIterator[Existing]:
    """`nodes`: environment of its nodes, beside what lets them in."""
    home = Path(tempfile.mkdtemp(prefix="lr-head-"))  # Paths of sockets are short.
    token, port, dashboard = home / "token", free_port(HOST), free_port(HOST)
    token.touch(0o600)
    token.write_text(secrets.token_hex(32))
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **nodes}
    found = Existing(None, f"{HOST}:{port}", f"http://{HOST}:{dashboard}", token)  # type: ignore[arg-type]
    found.program = await Program.start(
        *RAY,
        *("start", "--head", "--block", f"--node-ip-address={HOST}", f"--port={port}", f"--temp-dir={home / 'ray'}"),
        *("--include-dashboard=true", f"--dashboard-host={HOST}", f"--dashboard-port={dashboard}", "--num-cpus=16"),
        *("--object-store-memory=134217728", "--min-worker-port=0", "--max-worker-port=0", "--metrics-export-port=0"),
        *("--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0", "--runtime-env-agent-port=0"),
        f"--ray-client-server-port={free_port(HOST)}",
        environ=environ | found.access,
        log=folder / "head.log",
    )
    try:
        await found.program.says("(Ray runtime started)")
        yield found
    finally:
        end(home)
        shutil.rmtree(home, ignore_errors=True)


def end(home: Path) -> None:
    """Every process that names the folder."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != os.getpid() and str(home).encode() in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)


async def ran(*command: str, environ: dict[str, str], log: Path) -> tuple[int, str]:
    program = await Program.start(*command, environ=environ, log=log)
    async with asyncio.timeout(120):
        code = await program.process.wait()
    return code, log.read_text(errors="replace")


async def healthy(house: House) -> str:
    """What `cluster status` says when it is content."""
    async with asyncio.timeout(180):
        while True:
            code, said = await house.ran("cluster", "status")
            if code == 0:
                return said
            assert code == 1, said
            await asyncio.sleep(1)


@pytest.mark.timeout(600)
async def test_an_operators_day(tmp_path: Path, redis_url: str) -> None:
    given = settings_with(redis_url)
    hidden = {"LITERESEARCHER_REDIS__URL": redis_url, "LITERESEARCHER_CLUSTER__TOKEN": TOKEN}
    data = {"LITERESEARCHER_DATA_DIR": str(tmp_path / "data"), "LITERESEARCHER_SERPER__API_KEY": SECRET}
    async with existing_ray(tmp_path, hidden | data) as ray, House(tmp_path, given | data | ray.access) as house:
        house.settings["LITERESEARCHER_CLUSTER__ADDRESS"] = ray.address

        # Ray's own command takes what ours prints.
        code, printed = await house.ran("cluster", "config")
        assert (code, SECRET in printed, TOKEN in printed, redis_url in printed) == (0, False, False, False)
        (tmp_path / "serve.yaml").write_text(printed)
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **ray.access}
        code, said = await ran(
            *SERVE, "deploy", str(tmp_path / "serve.yaml"), "-a", ray.dashboard, environ=environ, log=tmp_path / "d.log"
        )
        assert code == 0, said
        said = await healthy(house)
        before = await pids(house)
        assert {name: len(found) for name, found in before.items()} == {"engine": 1, "tools": 1, "orchestrator": 1}

        # What is as it was stays as it is, and a change replaces one application's replicas.
        assert (await house.ran("cluster", "up"))[0] == 0
        assert await pids(house) == before
        for name, (setting, value) in CHANGES.items():
            house.settings[setting] = value
            code, said = await house.ran("cluster", "up")
            assert code == 0, said
            after = await pids(house)
            assert {one for one in before if after[one] != before[one]} == {name}
            before = after

        # A replica that cannot start is named with its reason, and costs the others nothing.
        broken = "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"
        house.settings["LITERESEARCHER_STORE__URL"] = broken
        code, said = await house.ran("cluster", "up")
        assert code == 1
        assert "orchestrator deploy failed" in said
        assert "the job store postgresql://nobody@127.0.0.1:1/nothing does not answer" in said
        assert "Traceback" not in said
        after = await pids(house)
        assert (after["engine"], after["tools"]) == (before["engine"], before["tools"])
        code, said = await house.ran("cluster", "status")
        assert (code, "does not answer" in said, "Traceback" in said) == (1, True, False), said
        del house.settings["LITERESEARCHER_STORE__URL"]
        assert (await house.ran("cluster", "up"))[0] == 0

        # Ended without that Ray.
        code, said = await house.ran("cluster", "down")
        assert (code, said) == (0, "applications ended\n")
        assert ray.program.process.returncode is None
        code, said = await house.ran("cluster", "status")
        assert (code, said.splitlines()[-1]) == (1, "no applications")
        await check_refusals(house, ray)

        # Ray goes while a command waits for it.
        house.settings["LITERESEARCHER_CLUSTER__ADDRESS"] = ray.address
        house.settings.update(ray.access)
        waiting = await Program.start(
            *COMMAND, "cluster", "up", environ=environ | house.settings, log=tmp_path / "w.log"
        )
        async with asyncio.timeout(60):
            # Its first child stands by for the loss of the Ray that it has found.
            while not children(waiting.process.pid):
                await asyncio.sleep(0.1)
        end(ray.token.parent)
        async with asyncio.timeout(180):
            assert await waiting.process.wait() == 1
        async with asyncio.timeout(60):
            # Ray may end the command itself; then another process says so.
            while not (lines := waiting.log.read_text().splitlines()):
                await asyncio.sleep(0.1)
        assert lines[-1].startswith("literesearcher: "), lines
        assert not [line for line in lines if "Traceback" in line], lines
        code, said = await house.ran("cluster", "down")
        assert (code, f"there is no Ray at {ray.address}" in said) == (1, True), said


async def check_refusals(house: House, ray: Existing) -> None:
    """One line each, whichever command."""
    settings = dict(house.settings)
    for command in ("up", "status", "down", "drain"):
        house.settings = settings | {"RAY_AUTH_TOKEN": "0" * 64}
        code, said = await house.ran("cluster", command)
        assert (code, said.count("\n"), "does not let this process in" in said) == (1, 1, True), said
        house.settings = settings | {"LITERESEARCHER_CLUSTER__ADDRESS": f"{HOST}:{free_port(HOST)}"}
        code, said = await house.ran("cluster", command)
        assert (code, said.count("\n"), "there is no Ray at" in said) == (1, 1, True), said
        house.settings = settings | {"LITERESEARCHER_CLUSTER__ADDRESS": ray.dashboard}
        code, said = await house.ran("cluster", command)
        assert (code, said.count("\n"), "is no address of a Ray" in said) == (2, 1, True), said
    house.settings = settings
