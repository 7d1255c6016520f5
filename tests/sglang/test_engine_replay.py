"""The benchmark that compares ways to run a pool of engines, small: every way does the same work, whole."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cpu_kit.scripted import ScriptedSglang

PROJECT = Path(__file__).parents[2]
WAYS = ["published", "stock", "consistent", "ours"]


def test_all_ways_to_run_a_pool_make_the_same_turns(
    one_runtime: dict[str, ScriptedSglang], tokenizer_folder: Path, tmp_path: Path
) -> None:
    """Four starts of SGLang, one after another; no other runtime is up beside them."""
    for name in list(one_runtime):
        asyncio.run(one_runtime.pop(name).aclose())
    pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")
    told = tmp_path / "figures.json"
    command = [sys.executable, str(PROJECT / "benchmarks" / "engine_replay.py"), "--small", "--json", str(told)]
    command += ["--rollouts", str(tokenizer_folder.parent / "trajectories"), "--tokenizer", str(tokenizer_folder)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LITERESEARCHER_")}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=800, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
    figures = json.loads(told.read_text())
    assert [one["way"] for one in figures] == WAYS
    for one in figures:
        assert one["jobs"] == 8
        assert (one["generated"], one["prompt"]) == (figures[0]["generated"], figures[0]["prompt"])
        assert f"| {one['at_once']} | {one['way']} |" in ended.stdout
    cached = {one["way"]: one["cached"] for one in figures}
    # What a full pool and kept sessions hold is not prefilled again; the published pool is too small for four jobs.
    assert cached["ours"] > 0.6
    assert cached["ours"] > cached["published"]
