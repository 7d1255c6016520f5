"""The whole platform over recorded rollouts on a local Ray: REST in, three applications, SSE out; and with replicas,
orchestrators and Serve's HTTP proxy killed while jobs run.

What reaches the model is the recorded text to the byte, whoever carried it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from literesearcher.testing.replay.programs import Followed, House, follow, post, report
from literesearcher.testing.replay.rollouts import Case, load

ROLLOUTS = Path(__file__).parents[1] / "data" / "rollouts"
TOKEN = "between-us"
SETTINGS = {
    "LITERESEARCHER_CLUSTER__TOKEN": TOKEN,
    "LITERESEARCHER_CLUSTER__TOOLS_MAX_REPLICAS": "1",
    "LITERESEARCHER_CLUSTER__DRAIN_SECONDS": "20",
    "LITERESEARCHER_ORCHESTRATOR__LEASE_SECONDS": "2",
    "LITERESEARCHER_ORCHESTRATOR__POLL_SECONDS": "0.2",
    # A replica comes back in ten seconds and more on a busy machine.
    "LITERESEARCHER_ENGINE__TRIES": "12",
}


@contextlib.asynccontextmanager
async def a_cluster(folder: Path, *options: str, redis: str) -> AsyncIterator[tuple[House, str]]:
    """A replay server and the applications; everything ended afterwards. Yields the replay server's URL."""
    async with House(folder, settings_with(redis)) as house:
        replay = await house.replay(ROLLOUTS, *options)
        try:
            code, said = await house.ran("cluster", "up")
            assert code == 0, said
            yield house, replay
        finally:
            code, said = await house.ran("cluster", "down")
            assert code == 0, said
            assert left_behind(folder) == []


def settings_with(redis: str) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return SETTINGS | {"LITERESEARCHER_REDIS__URL": redis, "LITERESEARCHER_CLUSTER__HTTP_PORT": str(port)}


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


def check_job(case: Case, got: Followed) -> None:
    job = got.job
    assert (job["status"], job["stop_reason"], job["error"]) == ("completed", "answer", None)
    assert job["output"]["text"] == case.answer
    turns = turns_of(got)
    assert [one["text"] for one in turns] == [turn.text for turn in case.turns]
    assert all(one["replica"] for one in turns), "each turn's event names the replica that served it"
    read = [event["data"] for event in got.events if event["type"] == "tool.completed"]
    recorded = [turn for turn in case.turns if turn.call]
    assert [f"<tool_response>\n{one['text']}\n</tool_response>" for one in read] == [one.response for one in recorded]


async def check_all(session: aiohttp.ClientSession, replay: str, cases: list[Case], followed: list[Followed]) -> None:
    for case, got in zip(cases, followed, strict=True):
        check_job(case, got)
    seen = await report(session, replay)
    assert seen["unexpected"] == []
    assert all(case["mismatches"] == case["not_asked"] == [] for case in seen["cases"].values())


NATIVE = {"tantivy", "torch", "pypdfium2", "html_to_markdown", "sqlite3", "sqlalchemy"}


def native_modules(pid: int) -> set[str]:
    """Which of the heavy packages a process has loaded, by the shared objects that it holds."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {name for name in NATIVE if re.search(rf"/{name}(?:[./]|_raw)", maps)}


@pytest.mark.timeout(400)
async def test_rollouts_from_rest_to_answer(tmp_path: Path, redis_url: str) -> None:
    cases = load(ROLLOUTS)
    async with a_cluster(tmp_path, "--delay", "0.05", redis=redis_url) as (house, replay):
        _, base = await house.gateway()
        async with aiohttp.ClientSession() as session:
            jobs = [await post(session, base, case.question) for case in cases]
            followed = list(await asyncio.gather(*(follow(session, base, job) for job in jobs)))
            await check_all(session, replay, cases, followed)
        assert any(delta for got in followed for delta in got.deltas), "text was streamed through the handles"
        status, listed = await models(house)
        assert (status, len(listed["data"])) == (200, 1)
        assert (await models(house, "somebody"))[0] == 401
        before = await pids(house)
        assert {name: len(found) for name, found in before.items()} == {"engine": 1, "tools": 1, "orchestrator": 1}
        loaded = {name: native_modules(found[0]) for name, found in before.items()}
        assert "tantivy" not in loaded["engine"] | loaded["orchestrator"]
        assert "torch" not in loaded["engine"] | loaded["tools"] | loaded["orchestrator"]
        assert not {"sqlite3", "sqlalchemy"} & loaded["engine"]

        # One application's settings change: the replicas of the others stay.
        house.settings["LITERESEARCHER_TOOLS__BREAKER_FAILURES"] = "9"
        assert (await house.ran("cluster", "up"))[0] == 0
        after = await pids(house)
        assert after["engine"] == before["engine"]
        assert after["orchestrator"] == before["orchestrator"]
        assert after["tools"] != before["tools"]
        code, said = await house.ran("jobs", "replay", followed[0].job["id"])
        assert (code, said.endswith("same decisions\n")) == (0, True), said


@pytest.mark.timeout(400)
async def test_killed_replicas_orchestrators_and_proxy(tmp_path: Path, redis_url: str) -> None:
    """Under `serve --ray`, which ends what it started."""
    cases = load(ROLLOUTS)
    async with House(tmp_path, settings_with(redis_url)) as house, aiohttp.ClientSession() as session:
        replay = await house.replay(ROLLOUTS, "--delay", "1.5")
        try:
            program, base = await house.serve("--ray")
            replicas = await pids(house)
            jobs = [await post(session, base, case.question) for case in cases]
            followers = asyncio.gather(*(follow(session, base, job) for job in jobs))
            try:
                await until(lambda: all(turns_of(job) for job in jobs), followers)
                os.kill(replicas["orchestrator"][0], signal.SIGKILL)
                for pid in proxies(house.folder):
                    os.kill(pid, signal.SIGKILL)
                await until(lambda: sum(under_way_again(job) for job in jobs) >= 2, followers)
                os.kill(replicas["engine"][0], signal.SIGKILL)
                followed = list(await followers)
            finally:
                followers.cancel()
            await check_all(session, replay, cases, followed)
            turns = [turn for got in followed for turn in turns_of(got)]
            assert max(turn["tries"] for turn in turns) > 1, "a turn was made again"
            assert len({turn["replica"] for turn in turns}) == 2, "and at another replica"
            assert (await models(house))[0] == 200, "the proxy is back"
            assert await program.terminate() == 0
        finally:
            # Of a test that failed before that.
            await house.ran("cluster", "down")
        assert left_behind(tmp_path) == []


def turns_of(job: Followed) -> list[dict[str, Any]]:
    return [event["data"] for event in job.events if event["type"] == "turn.completed"]


def under_way_again(job: Followed) -> bool:
    """Another orchestrator has the job, has had a turn of it made, and waits for the next."""
    types = [event["type"] for event in job.events]
    if types.count("attempt.started") < 2:
        return False
    again = types[len(types) - types[::-1].index("attempt.started") :]
    return "turn.completed" in again and again[-1] == "turn.started"


async def until(condition: Callable[[], bool], followers: asyncio.Future[Any]) -> None:
    """Wait for the condition; a follower's own failure comes first."""
    async with asyncio.timeout(120):
        while not condition() and not followers.done():
            await asyncio.sleep(0.02)
    if followers.done():
        followers.result()


def proxies(folder: Path) -> list[int]:
    """Serve's HTTP proxies of this test's Ray."""
    note = (folder / "data" / "cluster" / "ray.json").read_text()
    leader = int(re.search(r'"leader":(\d+)', note)[1])
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(entry.name)) == leader and b"ProxyActor" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    assert found
    return found


async def test_more_gpus_than_there_are_is_refused_before_anything_is_left_running(tmp_path: Path) -> None:
    settings = {
        "LITERESEARCHER_ENGINE__KIND": "sglang",
        "LITERESEARCHER_SGLANG__MODEL_PATH": str(tmp_path),
        "LITERESEARCHER_SGLANG__TENSOR_PARALLEL": "64",
    }
    async with House(tmp_path, settings) as house:
        code, said = await house.ran("cluster", "up")
        assert code == 2, said
        assert "one engine replica needs 64 GPUs of one node, and no node has more than" in said
        assert "Traceback" not in said
        code, said = await house.ran("cluster", "status")
        assert (code, "no local Ray runs" in said) == (2, True), said
    assert left_behind(tmp_path) == []
