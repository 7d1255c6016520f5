"""Engine replicas in an environment of their own (CLUSTER__ENGINE_PYTHON): commands, tools and orchestrators run in the
project's own, which has no SGLang; replicas in the one that has. With two ranks a replica.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from cpu_kit import environment
from cpu_kit.lesson import ANSWER, QUESTION, TURNS
from cpu_kit.served import PATIENCE, settings_of
from literesearcher.engine.token_history import TokenHistory
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.orchestrator.model_call import packed
from literesearcher.testing.replay import programs
from literesearcher.testing.replay.programs import Followed, House, follow
from process_tree import descendants

MAIN = environment.PROJECT / ".venv" / "bin" / "python"
GREEDY = {"temperature": 0.0, "presence_penalty": 0.0}


def main_python() -> str:
    """The project's own interpreter with the same Ray."""
    looks = f"import ray, redis, literesearcher; assert ray.__version__ == '{environment.RAY}'"
    if not MAIN.exists() or subprocess.run([MAIN, "-c", looks], capture_output=True).returncode:
        pytest.skip(f"no environment of the project with Ray {environment.RAY} at {MAIN}: make setup")
    return str(MAIN)


async def test_sglang_lives_in_its_own_environment_and_all_else_in_ours(
    taught_model: Path, tmp_path: Path, redis_url: str, one_runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(one_runtime):
        await one_runtime.pop(name).aclose()
    monkeypatch.setattr(programs, "COMMAND", (main_python(), "-m", "literesearcher.cli.main"))
    monkeypatch.setattr(programs, "PATIENCE", PATIENCE)
    settings = settings_of(tmp_path, taught_model, redis_url) | {
        "LITERESEARCHER_CLUSTER__ENGINE_PYTHON": sys.executable,
        "LITERESEARCHER_CLUSTER__ENGINE_MIN_REPLICAS": "1",
        "LITERESEARCHER_CLUSTER__ENGINE_MAX_REPLICAS": "1",
        "LITERESEARCHER_SGLANG__TENSOR_PARALLEL": "2",
    }
    async with House(tmp_path, settings) as house:
        try:
            code, said = await house.ran("cluster", "up")
            assert code == 0, said
            _, status = await house.ran("cluster", "status")
            _, base = await house.gateway()
            async with aiohttp.ClientSession() as session:
                body = {"input": QUESTION, "sampling": GREEDY}
                async with session.post(f"{base}/v1/research", json=body) as response:
                    asked = Followed(await response.json())
                got = await follow(session, base, asked)
            pids = dict(zip(("engine", "orchestrator", "tools"), replica_pids(status), strict=True))
            homes = {name: environment_of(pid) for name, pid in pids.items()}
            ranks = len(descendants(pids["engine"]))
        finally:
            code, said = await house.ran("cluster", "down")
        assert code == 0, said
    assert homes["engine"] == Path(sys.executable).parents[1].resolve()
    assert homes["tools"] == homes["orchestrator"] == MAIN.parents[1].resolve()
    assert ranks >= 3, "two schedulers and a detokenizer"
    assert got.job["stop_reason"] == "answer"
    assert ANSWER in got.job["output"]["text"]
    turns = [event["data"] for event in got.events if event["type"] == "turn.completed"]
    # The very ids that the model was taught as one rank.
    history = TokenHistory(Tokenizer.from_file(taught_model / "tokenizer.json"), opens_thought=True)
    assert [turn["token_ids"] for turn in turns] == [packed(tuple(history._written(text))) for text in TURNS]


def replica_pids(status: str) -> list[int]:
    """In the order of applications' names."""
    return [int(pid) for pid in re.findall(r"  \S+ running, pid (\d+) ", status)]


def environment_of(pid: int) -> Path:
    """By where its compiled Ray lies."""
    found = re.search(r" (/\S+?)/lib/python[^/]*/site-packages/ray/", Path(f"/proc/{pid}/maps").read_text())
    assert found is not None
    return Path(found[1])
