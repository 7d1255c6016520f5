"""Whether a node of a cluster can run an engine replica: asked on the node, before anything is deployed there.

Owns: the questions (this version, its Ray, the engine's interpreter, what the engine says of its settings and its
checkpoint before it starts) and a sentence for each thing that is wrong. Refuses to know: which nodes are asked
(`cli.cluster_start`), what an engine checks. Runs in a worker of Ray, and for CLUSTER__ENGINE_PYTHON in a process
of that interpreter.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata

import orjson

from literesearcher.cluster.release import RAY, require_ray
from literesearcher.errors import LiteResearcherError
from literesearcher.settings.model import Settings
from literesearcher.timing.clock import SystemClock

CHECK_SECONDS = 600.0
"""For reading a whole checkpoint, where its checksum is set."""
_MARK = "literesearcher-says:"
_IN_ANOTHER = "from literesearcher.cli.node_check import answer; answer()"


def engine_refusal(given: Mapping[str, str], python: str | None, version: str) -> str:
    """Why this node can run no engine replica, "" where it can. `given`: the application's settings; `python`: the
    interpreter of its replicas, where it is not this one; `version`: of the package that asks."""
    if (here := metadata.version("literesearcher")) != version:
        return f"literesearcher {here} is installed there, and this is {version}"
    return _own_refusal(given) if python is None else _refusal_of(python, given)


def answer() -> None:
    """As the other interpreter: the settings come on stdin."""
    said = _own_refusal(orjson.loads(sys.stdin.buffer.read()))
    print(_MARK + orjson.dumps([said, list(sys.version_info[:2])]).decode())


def _own_refusal(given: Mapping[str, str]) -> str:
    from literesearcher.cli.wiring_cluster import make_replica_engine, replica_settings

    async def made() -> None:
        await make_replica_engine(given).aclose()
        await _check_checkpoint(replica_settings(given))

    try:
        require_ray()
        asyncio.run(made())
    except LiteResearcherError as error:
        return error.message
    return ""


async def _check_checkpoint(settings: Settings) -> None:
    """One that is there; what will be downloaded is checked when it is."""
    if settings.engine_kind != "sglang":
        return
    from literesearcher.cli.wiring_engine import sglang_weights
    from literesearcher.engine.sglang.model import read_model

    weights = sglang_weights(settings, SystemClock())
    if weights.source is not None and not weights.present:
        return
    read_model(settings.sglang, weights.folder, opens_thought=settings.engine.opens_thought)
    if settings.sglang.model_sha256 is not None:
        await weights.checked()


def _refusal_of(python: str, given: Mapping[str, str]) -> str:
    name = f"LITERESEARCHER_CLUSTER__ENGINE_PYTHON={python}"
    try:
        done = subprocess.run(
            [python, "-c", _IN_ANOTHER],
            input=orjson.dumps(dict(given)),
            capture_output=True,
            timeout=CHECK_SECONDS,
            env=dict(os.environ),
            check=False,
        )
    except OSError as error:
        return f"{name} cannot be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{name} did not answer within {CHECK_SECONDS:.0f} s"
    _, found, said = done.stdout.decode(errors="replace").rpartition(_MARK)
    if not found:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return f"{name} cannot load literesearcher ({last[0]}): install it there with Ray {RAY}"
    refusal, release = orjson.loads(said)
    if refusal:
        return f"{name}: {refusal}"
    if tuple(release) != sys.version_info[:2]:
        ours = ".".join(map(str, sys.version_info[:2]))
        return f"{name} is Python {'.'.join(map(str, release))}, and Ray needs the cluster's, which is {ours}"
    return ""
