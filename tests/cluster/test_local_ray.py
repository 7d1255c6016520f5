"""A Ray of this machine under every way to start and end it: two commands at once, one killed or interrupted midway,
its own processes killed, and `serve --ray` killed over it. Whatever was, the next command mends it, and nothing stays.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from cluster.programs import leader, left_behind, of_ray, pids, settings_with
from literesearcher.testing.replay.programs import COMMAND, House, Program, follow, post

# A run in a shell's background ignores Ctrl-C, and what it starts does too.
signal.signal(signal.SIGINT, signal.default_int_handler)


async def started(house: House, *arguments: str) -> Program:
    """A command that is not waited for."""
    return await house._start("beside", *COMMAND, *arguments)


async def ended(program: Program) -> tuple[int, str]:
    """Exit code and output; nobody reads a traceback."""
    async with asyncio.timeout(180):
        code = await program.process.wait()
    said = program.log.read_text(errors="replace")
    assert "Traceback" not in said, said
    return code, said


async def noted(house: House) -> None:
    async with asyncio.timeout(60):
        while not (house.folder / "data" / "cluster" / "ray.json").exists():
            await asyncio.sleep(0.01)


@pytest.mark.timeout(600)
async def test_starts_and_ends_that_cross(tmp_path: Path) -> None:
    async with House(tmp_path, settings_with("redis://127.0.0.1:1/0")) as house:
        del house.settings["LITERESEARCHER_REDIS__URL"]
        try:
            # Killed while Ray starts: the next two, at once, go on with that Ray.
            killed = await started(house, "cluster", "up")
            await noted(house)
            await killed.kill()
            first = leader(tmp_path)
            both = [await started(house, "cluster", "up") for _ in range(2)]
            for code, said in [await ended(one) for one in both]:
                assert (code, "orchestrator healthy, 1 of 1 replicas" in said) == (0, True), said
            assert leader(tmp_path) == first

            # Ended while another command waits for the applications.
            house.settings["LITERESEARCHER_TOOLS__BREAKER_FAILURES"] = "9"
            waiting = await started(house, "cluster", "up")
            down = await started(house, "cluster", "down")
            code, said = await ended(down)
            assert (code, said.splitlines()[-1]) == (0, "Ray ended"), said
            code, said = await ended(waiting)
            # It may have been done before the end, or begin after it.
            assert code in (0, 1), said
            if code == 1:
                assert said.splitlines()[-1].startswith("literesearcher: "), said
            await ended(await started(house, "cluster", "down"))
            assert left_behind(tmp_path) == []

            # Interrupted, it leaves nothing.
            interrupted = await started(house, "cluster", "up")
            await interrupted.says("(Ray on this machine)")
            interrupted.process.send_signal(signal.SIGINT)
            code, said = await ended(interrupted)
            assert (code, said.splitlines()[-1]) == (130, "literesearcher: cancelled"), said
            assert left_behind(tmp_path) == []
            assert await house.ran("cluster", "down") == (0, "nothing of ours runs here\n")

            # Ray's first process is killed, and so nobody ends the others.
            assert (await house.ran("cluster", "up"))[0] == 0
            os.kill(leader(tmp_path), signal.SIGKILL)
            code, said = await house.ran("cluster", "status")
            assert (code, "no local Ray runs" in said) == (2, True), said
            code, said = await house.ran("cluster", "down")
            assert (code, said) == (0, "what a Ray that was killed had left is ended\n")
            assert await gone(tmp_path) == []
        finally:
            await house.ran("cluster", "down")


async def gone(folder: Path) -> list[str]:
    """What is left when Ray's workers have noticed that their raylet is gone."""
    async with asyncio.timeout(60):
        while left_behind(folder):
            await asyncio.sleep(0.2)
    return left_behind(folder)


@pytest.mark.timeout(600)
async def test_serve_killed_over_its_ray(tmp_path: Path) -> None:
    async with House(tmp_path, settings_with("redis://127.0.0.1:1/0")) as house, aiohttp.ClientSession() as session:
        del house.settings["LITERESEARCHER_REDIS__URL"]
        try:
            program, base = await house.serve("--ray")
            before = await pids(house)
            assert {name: len(found) for name, found in before.items()} == {"engine": 1, "tools": 1, "orchestrator": 1}
            await program.kill()

            # Its Ray stays, with what it does; the next one uses it, and leaves it as one that it did not start.
            program, base = await house.serve("--ray")
            assert await pids(house) == before
            job = await follow(
                session, base, await post(session, base, "Which function of heapq merges sorted inputs?")
            )
            assert job.job["status"] == "completed"
            program.process.send_signal(signal.SIGINT)
            assert (await ended(program))[0] in (0, 130)
            assert await pids(house) == before
            code, said = await house.ran("cluster", "down")
            assert (code, said) == (0, "applications ended\nRay ended\n")
            assert left_behind(tmp_path) == []

            # One that started its Ray ends it on Ctrl-C.
            program, base = await house.serve("--ray")
            assert of_ray(tmp_path, "ServeReplica:engine")
            program.process.send_signal(signal.SIGINT)
            assert (await ended(program))[0] in (0, 130)
            assert left_behind(tmp_path) == []
        finally:
            await house.ran("cluster", "down")
