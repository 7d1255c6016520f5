"""CPU seconds that the platform itself costs a model turn, beside LangGraph with its SQLite checkpointer.

    python benchmarks/turn_overhead.py [--rollouts DIR] [--rounds 3] [--many 300] [--profile]

Recorded rollouts run against a zero-latency replay server in another process, page extraction included; the platform
is `literesearcher serve` as it runs by default, journal in SQLite on disk, jobs posted over REST. What is counted is
user and system time of that process, all threads, from before the first job is posted until after the last has ended.
A second row has a client on every job's event stream, so that every turn is streamed token by token.

LangGraph runs the same rollouts in its own environment (see requirements.txt here): once with HTTP as lean as ours,
once through ChatOpenAI, as its documentation has it. Linux only: reads /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from literesearcher.testing.replay.programs import House, Program, follow, post, report
from literesearcher.testing.replay.rollouts import load

HERE = Path(__file__).parent
SELF_MADE = HERE.parent / "tests" / "data" / "rollouts"
LANGGRAPH = HERE.parent / ".venv" / "benchmarks" / "bin" / "python"
GOAL_MS = 5.0
GOAL_MB = 600.0


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    jobs: int
    turns: int
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float

    @property
    def ms(self) -> float:
        """CPU milliseconds a turn."""
        return 1000 * self.cpu_seconds / self.turns


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads, ended ones included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Highest resident memory of a process so far."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def questions(rollouts: Path, jobs: int) -> list[str]:
    """The recorded questions over and over."""
    cases = load(rollouts)
    return [cases[number % len(cases)].question for number in range(jobs)]


async def platform(name: str, rollouts: Path, jobs: int, *, streamed: bool, settings: dict[str, str]) -> Row:
    """`literesearcher serve` over `jobs` jobs at once."""
    with tempfile.TemporaryDirectory() as folder:
        async with House(Path(folder), dict(settings)) as house, aiohttp.ClientSession() as session:
            replay = await house.replay(rollouts, "--shared")
            program, base = await house.serve()
            # One job beforehand: imports, the first connections and the schema are no turn's cost.
            await follow(session, base, await post(session, base, questions(rollouts, 1)[0]))
            warmed = await _turns(session, base)
            cpu, wall = cpu_seconds(program.process.pid), time.monotonic()
            posted = [await post(session, base, question) for question in questions(rollouts, jobs)]
            if streamed:
                await asyncio.gather(*(follow(session, base, one) for one in posted))
            else:
                await _until_ended(session, base)
            cpu, wall = cpu_seconds(program.process.pid) - cpu, time.monotonic() - wall
            turns = await _turns(session, base) - warmed
            seen = await report(session, replay)
            wrong = [case["mismatches"] for case in seen["cases"].values() if case["mismatches"]]
            assert not wrong, f"the replay was not faithful: {wrong[:3]} {seen['unexpected'][:3]}"
            assert not seen["unexpected"], seen["unexpected"][:3]
            return Row(name, jobs, turns, cpu, wall, peak_mb(program.process.pid))


async def _until_ended(session: aiohttp.ClientSession, base: str) -> None:
    """Asks seldom and for one row: the watcher must cost nothing."""
    for status in ("queued", "running"):
        while True:
            async with session.get(f"{base}/v1/research", params={"status": status, "limit": 1}) as response:
                if not (await response.json())["data"]:
                    break
            await asyncio.sleep(0.25)


async def _turns(session: aiohttp.ClientSession, base: str) -> int:
    """Turns of all jobs; every one of them must have been answered."""
    turns, cursor = 0, None
    while True:
        params = {"limit": "100", **({"cursor": cursor} if cursor else {})}
        async with session.get(f"{base}/v1/research", params=params) as response:
            page = await response.json()
        for job in page["data"]:
            assert job["stop_reason"] == "answer", job
            turns += job["usage"]["turns"]
        cursor = page["next_cursor"]
        if not cursor:
            return turns


async def langgraph(rollouts: Path, jobs: int, client: str) -> Row:
    """The same jobs on LangGraph; `client` says how it calls the model."""
    with tempfile.TemporaryDirectory() as folder:
        async with House(Path(folder)) as house:
            replay = await house.replay(rollouts, "--shared")
            asked = Path(folder) / "questions.json"
            asked.write_bytes(orjson.dumps(questions(rollouts, jobs)))
            command = [str(LANGGRAPH), str(HERE / "langgraph_agent.py"), "--url", replay, "--client", client]
            command += ["--questions", str(asked), "--database", f"{folder}/checkpoints.sqlite"]
            program = await Program.start(*command, environ=os.environ, log=Path(folder) / "langgraph.log")
            code = await program.process.wait()
            said = program.log.read_text()
            assert code == 0, said
            got = orjson.loads(said.strip().splitlines()[-1])
            numbers = (got["turns"], got["cpu_seconds"], got["wall_seconds"], got["peak_rss_mb"])
            return Row(f"LangGraph, SQLite checkpointer, {client} client", jobs, *numbers)


def table(rows: list[Row]) -> str:
    """Markdown; each row's cost also as a multiple of the first one's."""
    lines = [
        "| what | jobs at once | turns | CPU ms a turn | times the first | wall s | peak MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.jobs} | {row.turns} | {row.ms:.2f} | {row.ms / rows[0].ms:.1f} "
            f"| {row.wall_seconds:.1f} | {row.peak_mb:.0f} |"
        )
    return "\n".join(lines)


async def best_of(rounds: int, make: Callable[[], Awaitable[Row]]) -> Row:
    """The cheapest round: what else the machine does only adds."""
    return min([await make() for _ in range(rounds)], key=lambda row: row.ms)


async def measure(given: argparse.Namespace) -> None:
    """Measure, print, and exit 1 where a goal is missed."""
    rollouts: Path = given.rollouts
    jobs = len(load(rollouts))
    rows = [
        await best_of(given.rounds, lambda: platform("platform, REST", rollouts, jobs, streamed=False, settings={})),
        await best_of(
            given.rounds, lambda: platform("platform, every turn streamed", rollouts, jobs, streamed=True, settings={})
        ),
    ]
    if LANGGRAPH.exists():
        for client in ("lean", "langchain"):
            rows.append(await best_of(given.rounds, lambda client=client: langgraph(rollouts, jobs, client)))
    else:
        print(f"no LangGraph at {LANGGRAPH}: see benchmarks/requirements.txt", file=sys.stderr)
    many = None
    if given.many:
        settings = {"LITERESEARCHER_RESEARCH__MAX_CONCURRENT_JOBS": str(given.many)}
        many = await platform("platform, REST, many", rollouts, given.many, streamed=False, settings=settings)
        rows.append(many)
    print(f"rollouts: {rollouts} ({jobs}); best of {given.rounds}\n")
    print(table(rows))
    missed = rows[0].ms > GOAL_MS or (many is not None and many.peak_mb > GOAL_MB)
    print(f"\ngoals: {GOAL_MS} ms a turn, {GOAL_MB:.0f} MB with {given.many} jobs: {'MISSED' if missed else 'met'}")
    if missed:
        raise SystemExit(1)


def main() -> None:
    """Parse and run."""
    data = os.environ.get("LITERESEARCHER_TEST_DATA")
    default = Path(data) / "trajectories" if data else SELF_MADE
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=Path, default=default)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=300, help="jobs at once in the memory run; 0: none")
    parser.add_argument("--profile", action="store_true", help="only say where the time goes")
    given = parser.parse_args()
    if given.profile:
        from turn_profile import profile

        asyncio.run(profile(given.rollouts, given.rounds))
    else:
        asyncio.run(measure(given))


if __name__ == "__main__":
    main()
