"""Which processes a note of a local Ray means, and that ending it ends those alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import orjson
import pytest

from literesearcher.cluster import local_ray
from literesearcher.errors import BoundaryError
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.timing.clock import SystemClock

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
SLEEPER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print(flush=True)
time.sleep(600)
"""


async def sleeping() -> asyncio.subprocess.Process:
    """The head of a session of two processes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SLEEPER, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    await process.stdout.readline()
    return process


def session_of(leader: int) -> set[int]:
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            if os.getsid(int(entry.name)) == leader and state != "Z":
                found.add(int(entry.name))
    return found


def noted(note: Path, pid: int, started: str, folder: Path) -> None:
    fields = {"leader": pid, "started": started, "address": "127.0.0.2:1", "folder": str(folder)}
    note.write_bytes(orjson.dumps(fields))


def start_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]


async def test_ending_kills_the_session_and_removes_folder_and_note(tmp_path: Path) -> None:
    note, folder = tmp_path / "ray.json", tmp_path / "literesearcher-ray-x"
    folder.mkdir()
    ours, other = await sleeping(), await sleeping()
    try:
        noted(note, ours.pid, start_of(ours.pid), folder)
        ray = local_ray.find(note)
        assert ray is not None
        assert len(session_of(ours.pid)) == 2
        local_ray.end(note, ray)
        await ours.wait()
        async with asyncio.timeout(20):
            while session_of(ours.pid):
                await asyncio.sleep(0.02)
        assert (folder.exists(), note.exists(), local_ray.find(note)) == (False, False, None)
        assert len(session_of(other.pid)) == 2
    finally:
        for process in (ours, other):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await other.wait()


def test_another_process_under_the_same_number_is_not_it(tmp_path: Path) -> None:
    note = tmp_path / "ray.json"
    noted(note, os.getpid(), "1", tmp_path)
    assert local_ray.find(note) is None
    noted(note, os.getpid(), start_of(os.getpid()), tmp_path)
    assert local_ray.find(note) is not None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"leader": 1}', b'{"pid": 1, "started": "1"}'])
def test_a_note_that_is_none_names_nothing(tmp_path: Path, text: bytes) -> None:
    note = tmp_path / "ray.json"
    assert local_ray.find(note) is None
    note.write_bytes(text)
    assert local_ray.find(note) is None


async def test_what_a_killed_leader_left_is_ended_by_its_folder(tmp_path: Path) -> None:
    note, folder = tmp_path / "ray.json", tmp_path / "literesearcher-ray-x"
    folder.mkdir()
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    left = await asyncio.create_subprocess_exec(*command, str(folder / "session"))
    other = await asyncio.create_subprocess_exec(*command, str(tmp_path / "literesearcher-rays"))
    try:
        noted(note, os.getpid(), "1", folder)
        assert local_ray.find(note) is None
        assert local_ray.clear(note)
        assert await left.wait() == -signal.SIGKILL
        assert (folder.exists(), note.exists(), other.returncode) == (False, False, None)
        assert not local_ray.clear(note)
    finally:
        for process in (left, other):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await other.wait()


async def test_a_note_with_half_a_name_ends_nobody_elses_ray(tmp_path: Path) -> None:
    note, folder = tmp_path / "ray.json", tmp_path / "literesearcher-ray-"
    other = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import time; time.sleep(600)"), str(tmp_path / "literesearcher-ray-other")
    )
    try:
        noted(note, os.getpid(), "1", folder)
        assert local_ray.clear(note)
        # It has not so much as a signal coming.
        assert start_of(other.pid)
        assert Path(f"/proc/{other.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    finally:
        other.kill()
        await other.wait()


@pytest.mark.parametrize("leader", [-1, 0, 1, True])
def test_a_note_that_names_everybody_names_nothing(tmp_path: Path, leader: int) -> None:
    note = tmp_path / "ray.json"
    noted(note, leader, "", tmp_path / "literesearcher-ray-x")
    assert (local_ray.find(note), local_ray.clear(note)) == (None, False)


async def test_a_note_that_names_another_folder_removes_none(tmp_path: Path) -> None:
    note, folder = tmp_path / "ray.json", tmp_path / "precious"
    folder.mkdir()
    noted(note, os.getpid(), "1", folder)
    assert local_ray.clear(note)
    assert (folder.exists(), note.exists()) == (True, False)


async def test_only_one_command_at_a_time_starts_or_ends(tmp_path: Path) -> None:
    note, inside = tmp_path / "ray.json", []

    async def enter(name: str) -> None:
        async with local_ray.alone(note, SystemClock()):
            inside.append(name)
            await asyncio.sleep(0.2)
            inside.append(name)

    await asyncio.gather(enter("a"), enter("b"))
    assert inside in (["a", "a", "b", "b"], ["b", "b", "a", "a"])
    clock = ManualClock()
    async with local_ray.alone(note, clock):
        waiting = asyncio.create_task(enter_with(note, clock))
        async with asyncio.timeout(60):
            while not waiting.done():
                await clock.advance(30)
        with pytest.raises(BoundaryError, match="another command is starting or ending Ray"):
            waiting.result()


async def enter_with(note: Path, clock: ManualClock) -> None:
    async with local_ray.alone(note, clock):
        pass
