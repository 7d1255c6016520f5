"""Where a turn's CPU time goes: the platform in this process under cProfile, its cost grouped by room and library.

Used by `turn_overhead.py --profile`. The profiler slows Python code down, so shares are what to read, not sums; threads
beside the event loop (SQLite's writer, name resolution) are not profiled, only timed.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from literesearcher.cli.wiring import open_platform
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.jobs.live import QUEUE, journal_topic
from literesearcher.jobs.model import ENDED
from literesearcher.settings.load import load_settings
from literesearcher.testing.replay.programs import House, settings_for
from literesearcher.testing.replay.rollouts import load


async def profile(rollouts: Path, rounds: int) -> None:
    """Run every rollout `rounds` times, all at once; print shares and the dearest functions."""
    cases = load(rollouts)
    with tempfile.TemporaryDirectory() as folder:
        async with House(Path(folder)) as house:
            url = await house.replay(rollouts, "--shared")
            environ = settings_for(url) | {"LITERESEARCHER_DATA_DIR": f"{folder}/data", "HOME": folder}
            async with open_platform(load_settings(environ, dotenv=None)) as platform:
                stop = asyncio.Event()
                worker = asyncio.create_task(platform.orchestrator().run(stop))

                async def run_all(times: int) -> int:
                    ids = []
                    for case in cases * times:
                        job = new_job(
                            JobSpec(input=case.question),
                            tenant_id="default",
                            research=platform.settings.research,
                            prompts=platform.prompts,
                            now=platform.clock.now(),
                        )
                        ids.append((await platform.store.create(job))[0].id)
                    await platform.live.ring(QUEUE)
                    turns = 0
                    for job_id in ids:
                        async with platform.live.listen(journal_topic(job_id)) as bell:
                            while (job := await platform.store.get("default", job_id)).status not in ENDED:
                                await bell.wait(1.0)
                        assert job.stop_reason == "answer", job
                        turns += job.usage.turns
                    return turns

                await run_all(1)
                plain, loop_before = time.process_time(), time.thread_time()
                turns = await run_all(rounds)
                plain, loop = time.process_time() - plain, time.thread_time() - loop_before
                profiler = cProfile.Profile()
                profiler.enable()
                profiled_turns = await run_all(rounds)
                profiler.disable()
                stop.set()
                await worker
    print(
        f"without profiler: {1000 * plain / turns:.2f} ms a turn, of it event loop {1000 * loop / turns:.2f}, ", end=""
    )
    print(f"other threads {1000 * (plain - loop) / turns:.2f}\n")
    _print(profiler, profiled_turns)


def _print(profiler: cProfile.Profile, turns: int) -> None:
    stats = pstats.Stats(profiler)
    own: dict[str, float] = defaultdict(float)
    for (file, _, name), (_, _, tottime, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        own[_group(file, name)] += tottime
    whole = sum(own.values())
    print("| where | share | ms a turn under the profiler |\n| --- | ---: | ---: |")
    for where, seconds in sorted(own.items(), key=lambda item: -item[1])[:25]:
        print(f"| {where} | {100 * seconds / whole:.1f}% | {1000 * seconds / turns:.3f} |")
    print()
    stats.sort_stats("tottime").print_stats(30)


def _group(file: str, name: str) -> str:
    parts = Path(file).parts
    if "literesearcher" in parts:
        rest = parts[parts.index("literesearcher") + 1 :]
        return "literesearcher." + (rest[0] if len(rest) > 1 else rest[0].removesuffix(".py"))
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    if file == "~":
        return (
            f"built in: {name}"
            if any(word in name for word in ("send", "recv", "poll", "write", "dumps"))
            else "built in"
        )
    return "asyncio" if "asyncio" in parts else "standard library"
