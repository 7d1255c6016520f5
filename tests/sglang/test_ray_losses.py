"""Real SGLang lost in mid-stream on Ray Serve: a whole replica, a scheduler alone. The job ends in its answer, and no
process of what was lost is left.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cpu_kit.lesson import SEARCH, VISIT
from cpu_kit.served import Served, schedulers
from literesearcher.testing.replay.programs import Followed, House, follow, post
from process_tree import descendants

LONG = " ".join(f"Then I think of part {number} of it." for number in range(120))
"""Said in ten seconds and more."""


@pytest.fixture
async def gateway(served: Served) -> AsyncIterator[str]:
    """Its URL."""
    async with House(served.folder, served.settings) as house:
        _, base = await house.gateway()
        yield base


def job(served: Served, name: str) -> tuple[str, list[str]]:
    """A question, and what is said to it on whichever replica: the second turn is long."""
    turns = [
        f"I search.\n</think>\n<tool_call>\n{SEARCH}\n</tool_call>",
        f"{LONG}\n</think>\n<tool_call>\n{VISIT}\n</tool_call>",
        f"I know.\n</think>\n<answer>\nThe answer of {name}\n</answer>",
    ]
    question = f"What is the answer of {name}?"
    served.script(question, turns)
    return question, turns


def turns_of(followed: Followed) -> list[dict[str, Any]]:
    return [event["data"] for event in followed.events if event["type"] == "turn.completed"]


async def lost_in_the_second_turn(
    served: Served, base: str, name: str, lose: Callable[[int], int]
) -> tuple[list[dict[str, Any]], list[int]]:
    """The job's turns, and the processes of the replica that was lost; `lose` gets its process id, gives whom it
    killed."""
    question, said = job(served, name)
    async with aiohttp.ClientSession() as session:
        followed = await post(session, base, question)
        going = asyncio.create_task(follow(session, base, followed))
        try:
            async with asyncio.timeout(300):
                while not any(delta["turn"] == 2 for delta in followed.deltas):
                    assert not going.done(), followed.events
                    await asyncio.sleep(0.05)
            (first,) = turns_of(followed)
            replica = served.replica(first["replica"])
            assert replica.pid is not None
            processes = [replica.pid, *descendants(replica.pid)]
            killed = lose(replica.pid)
            assert killed in processes
            async with asyncio.timeout(600):
                await going
        finally:
            going.cancel()
    assert followed.job["status"] == "completed", followed.job
    assert followed.job["output"]["text"] == f"The answer of {name}"
    turns = turns_of(followed)
    assert [turn["text"] for turn in turns] == said
    assert turns[1]["tries"] > 1, "it was made again"
    return turns, processes


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def all_gone(processes: list[int]) -> None:
    async with asyncio.timeout(120):
        while left := [pid for pid in processes if alive(pid)]:
            await asyncio.sleep(0.2)
    assert not left


async def test_a_replica_killed_in_mid_stream(served: Served, gateway: str) -> None:
    def lose(replica: int) -> int:
        os.kill(replica, signal.SIGKILL)
        return replica

    turns, processes = await lost_in_the_second_turn(served, gateway, "a killed replica", lose)
    assert len(processes) >= 3, "scheduler and detokenizer were its children"
    assert turns[1]["replica"] != turns[0]["replica"]
    assert turns[2]["replica"] == turns[1]["replica"]
    await all_gone(processes)
    await asyncio.to_thread(served.settle)


async def test_a_scheduler_killed_in_mid_stream(served: Served, gateway: str) -> None:
    killed: list[int] = []

    def lose(replica: int) -> int:
        killed.append(schedulers(replica)[0])
        os.kill(killed[0], signal.SIGKILL)
        return killed[0]

    _, processes = await lost_in_the_second_turn(served, gateway, "a killed scheduler", lose)
    # The replica itself may live on with another SGLang.
    await all_gone([pid for pid in processes[1:] if pid in killed])
    await asyncio.to_thread(served.settle)
    for replica in served.replicas():
        assert replica.pid is not None
        assert len(schedulers(replica.pid)) == 1
