"""CPU that a turn costs over Ray Serve beyond the same turn in one process: Ray's defaults beside what ships.

    python benchmarks/ray_turn.py [--rounds 5] [--jobs 32] [--all]

A turn of 170 tokens on a history of 200,000 characters, the request as orchestrators send it, at 60 tokens a second.
Caller and engine are Serve replicas; counted are both processes' clocks, all threads, less what they take while idle,
less the turn on an engine in the caller itself. All rows in one run, in turns; the median of the rounds.
`--all` adds rows that part the settings from each other. Exits 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_stage import PATIENCE, ROUTER, application, cpu_seconds, deploy, own_ray

from literesearcher.cluster.configuration import SERVE_ENVIRONMENT

TOKENS, CHARACTERS = 170, 200_000
GOALS = {False: 5.0, True: 15.0}
"""CPU ms a turn over in-process, without and with a listener."""
DEFAULT_LOGS = {"encoding": "TEXT", "log_level": "INFO", "enable_access_log": True}


@dataclass(frozen=True)
class Arm:
    """A way to run Serve. `delta`: tokens that the engine tells at a time; `piece`: see `engine_app.PIECE_SECONDS`."""

    name: str
    environment: Mapping[str, str]
    delta: int = 8
    piece: float | None = None
    logs: Mapping[str, Any] | None = None

    @property
    def args(self) -> dict[str, Any]:
        """Of both builders."""
        paced = {"tokens": TOKENS, "per_second": 60.0, "delta": self.delta}
        return {"paced": paced, "piece": self.piece, "characters": CHARACTERS}

    def applications(self, key: str) -> list[dict[str, Any]]:
        """Its caller and its engine."""
        options: dict[str, Any] = {"logging_config": dict(self.logs)} if self.logs else {}
        return [
            application(f"{key}-caller", "ray_stage:caller", "Caller", self.args, self.environment, **options),
            application(
                f"{key}-engine",
                "ray_stage:paced_engine",
                "Engine",
                self.args,
                self.environment,
                request_router_config=ROUTER,
                **options,
            ),
        ]


ARMS = [
    Arm("Ray's defaults, a piece a token", {}, delta=1, piece=0.0, logs=DEFAULT_LOGS),
    Arm("as shipped", SERVE_ENVIRONMENT),
]
MORE = [
    Arm("Ray's defaults, a piece every 0.25 s", {}, logs=DEFAULT_LOGS),
    Arm("Ray's defaults, WARNING logs, a piece every 0.25 s", {}),
    Arm("shipped settings, a piece a token", SERVE_ENVIRONMENT, delta=1, piece=0.0),
    Arm("shipped settings, a piece each 8 tokens", SERVE_ENVIRONMENT, piece=0.0),
    Arm(
        "shipped settings without gRPC, a piece every 0.25 s",
        SERVE_ENVIRONMENT | {"RAY_SERVE_USE_GRPC_BY_DEFAULT": "0"},
    ),
]


def measured(
    handle: Any, pids: tuple[int, int], application: str | None, jobs: int, listen: bool
) -> list[tuple[float, float]]:
    """(CPU seconds, seconds in all) of each process."""
    before = [cpu_seconds(pid) for pid in pids]
    began = time.monotonic()
    handle.turns.remote(application, jobs, listen).result(timeout_s=PATIENCE)
    took = time.monotonic() - began
    return [(cpu_seconds(pid) - was, took) for pid, was in zip(pids, before, strict=True)]


def idle(pids: tuple[int, int], seconds: float) -> list[float]:
    """CPU seconds a second that each process takes while nobody calls it."""
    before = [cpu_seconds(pid) for pid in pids]
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return [(cpu_seconds(pid) - was) / took for pid, was in zip(pids, before, strict=True)]


def main() -> None:
    """Measure, print, and exit 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=32, help="turns at once")
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args()
    arms = ARMS + (MORE if given.all else [])
    with tempfile.TemporaryDirectory() as folder, own_ray(Path(folder), os.environ) as operator:
        rows = measure(operator, arms, given.rounds, given.jobs)
    missed = [
        listen for listen, goal in GOALS.items() if statistics.median(map(sum, rows["as shipped", listen])) > goal
    ]
    print(f"\ngoals as shipped: {GOALS[False]} ms unheard, {GOALS[True]} ms heard: {'MISSED' if missed else 'met'}")
    raise SystemExit(1 if missed else 0)


def measure(operator: Any, arms: list[Arm], rounds: int, jobs: int) -> dict[tuple[str, bool], list[tuple[float, ...]]]:
    """Prints the table; CPU ms a turn over in-process (caller, engine) of each round by arm and listener."""
    from ray import serve

    keys = {arm.name: f"arm{number}" for number, arm in enumerate(arms)}
    pids = deploy(operator, [one for arm in arms for one in arm.applications(keys[arm.name])])
    rows: dict[tuple[str, bool], list[tuple[float, ...]]] = {}
    for number in range(rounds + 1):
        for arm in arms:
            key = keys[arm.name]
            both = pids[f"{key}-caller"], pids[f"{key}-engine"]
            handle = serve.get_deployment_handle("Caller", f"{key}-caller")
            rest = idle(both, 2.0)
            for listen in (False, True):
                alone = _net(measured(handle, both, None, jobs, listen), rest, jobs)
                served = _net(measured(handle, both, f"{key}-engine", jobs, listen), rest, jobs)
                # The first round makes connections.
                if number:
                    over = served[0] - alone[0], served[1]
                    rows.setdefault((arm.name, listen), []).append(over)
    print(f"CPU ms a turn over in-process; {TOKENS} tokens, {CHARACTERS:,} characters; median of {rounds} rounds")
    print(f"of {jobs} turns at once; {os.cpu_count()} cores\n")
    print("| Serve | listener | caller | replica | both | rounds |")
    print("| --- | --- | ---: | ---: | ---: | --- |")
    for (name, listen), each in rows.items():
        middle = [statistics.median(one[side] for one in each) for side in (0, 1)]
        sums = [sum(one) for one in each]
        print(
            f"| {name} | {'live' if listen else 'none'} | {middle[0]:.1f} | {middle[1]:.1f} "
            f"| {statistics.median(sums):.1f} | {min(sums):.1f} to {max(sums):.1f} |"
        )
    return rows


def _net(used: list[tuple[float, float]], rest: list[float], jobs: int) -> list[float]:
    return [1000 * (cpu - took * still) / jobs for (cpu, took), still in zip(used, rest, strict=True)]


if __name__ == "__main__":
    main()
