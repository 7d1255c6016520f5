"""One run of `literesearcher batch` in the terminal: reads the dataset, shows progress and time left, sums up.

Owns: what is said, signals. Refuses to know: how rollouts become jobs. Ctrl-C and SIGTERM stop the run and hand the
running jobs back; nothing is cancelled, the same command goes on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from literesearcher.cli.batch_run import BatchRun, Due, due_rollouts, under_wishes
from literesearcher.cli.batch_state import OUT_OF_BUDGET, BatchFolder, Rollout
from literesearcher.cli.dataset import BrokenLine, read_dataset
from literesearcher.cli.narration import duration, plural
from literesearcher.cli.session import on_signals
from literesearcher.cli.terminal_text import one_line
from literesearcher.cli.wiring import open_platform
from literesearcher.errors import CallerError
from literesearcher.jobs.model import Job
from literesearcher.settings.model import Settings

SHOWN_BROKEN = 10


async def run_batch(
    settings: Settings,
    dataset: Path,
    *,
    rollouts: int,
    out: Path,
    concurrency: int,
    retry_failed: bool,
    wishes: Mapping[str, Any],
) -> int:
    """The whole run; the exit code. `wishes`: the options of `job_options` that were named."""
    items, broken = read_dataset(dataset)
    items = under_wishes(items, wishes)
    folder = BatchFolder(out)
    try:
        async with open_platform(settings) as platform:
            progress = BatchProgress()
            run = BatchRun(platform, folder, wishes=wishes, on_start=progress.started, on_result=progress.ended)
            items, refused = run.refuse(items)
            _name_broken(broken := sorted([*broken, *refused], key=lambda line: line.line))
            if not items:
                raise CallerError(f"{dataset} holds no usable question", field="dataset")
            due = due_rollouts(items, rollouts, folder, retry_failed=retry_failed)
            whole = len(items) * rollouts
            _say(f"{plural(len(items), 'question')}, {plural(whole, 'rollout')}, {whole - len(due):,} finished before")
            progress.begin(len(due))
            ticking = asyncio.create_task(progress.tick())
            try:
                stopped_by = await _until_signal(run.run(due, concurrency=concurrency))
            finally:
                ticking.cancel()
                progress.close()
        asked = [Rollout(item.id, item.digest, number + 1) for item in items for number in range(rollouts)]
        statuses = Counter(folder.finished[rollout] for rollout in asked if rollout in folder.finished)
        _sum_up(statuses, broken, out)
        if stopped_by is not None:
            _say("stopped; run the same command again to go on")
            return 128 + stopped_by
        if statuses["failed"] and not retry_failed:
            _say("run it again with --retry-failed to try the failed ones once more")
        return 1 if statuses["failed"] or statuses["cancelled"] else 0
    finally:
        folder.close()


def _say(line: str) -> None:
    click.echo(line, err=True)


def _name_broken(broken: list[BrokenLine]) -> None:
    if broken:
        _say(f"{plural(len(broken), 'broken line')} left out:")
    for line in broken[:SHOWN_BROKEN]:
        _say(f"  line {line.line}: {one_line(line.reason, 200)}")
    if len(broken) > SHOWN_BROKEN:
        _say(f"  and {len(broken) - SHOWN_BROKEN:,} more")


def _sum_up(statuses: Counter[str], broken: list[BrokenLine], out: Path) -> None:
    parts = [f"{statuses[name]:,} {name}" for name in ("completed", "incomplete", "failed", "cancelled")]
    if statuses[OUT_OF_BUDGET]:
        parts.append(f"{statuses[OUT_OF_BUDGET]:,} cut short by the day's budget")
    left_out = f"; {plural(len(broken), 'broken line')} left out" if broken else ""
    click.echo(f"{plural(sum(statuses.values()), 'rollout')}: {', '.join(parts)}{left_out}")
    click.echo(f"results: {out / 'results.jsonl'}")


async def _until_signal(work: Coroutine[Any, Any, None]) -> int | None:
    """Run to the end (None) or until SIGINT or SIGTERM (its number); a second one leaves at once."""
    task = asyncio.create_task(work)
    caught: list[int] = []

    def stop(number: int) -> None:
        if caught:
            _say("second signal: leaving at once")
            os._exit(128 + number)
        caught.append(number)
        task.cancel()

    with on_signals({number: partial(stop, number) for number in (signal.SIGINT, signal.SIGTERM)}):
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()
        return None
    return caught[0]


class BatchProgress:
    """Progress on stderr: on a terminal one line that changes, elsewhere a line a finished rollout."""

    def __init__(self) -> None:
        self._all = self._done = self._running = 0
        self._start = time.monotonic()
        self._moving = sys.stderr.isatty()

    def begin(self, count: int) -> None:
        """So many rollouts are due."""
        self._all = count
        self._start = time.monotonic()

    def started(self, due: Due) -> None:
        """One more runs."""
        self._running += 1
        self._show(None)

    def ended(self, due: Due, job: Job) -> None:
        """One has its result."""
        self._running -= 1
        self._done += 1
        what = one_line(job.output_text or "", 60) or "no answer"
        self._show(f"{one_line(due.item.id, 40)} #{due.rollout.number}: {job.stop_reason}: {what}")

    async def tick(self) -> None:
        """Show that time goes on, until cancelled: rollouts of a real model take minutes."""
        while True:
            await asyncio.sleep(1 if self._moving else 60)
            self._show(None if self._moving else "still running")

    def close(self) -> None:
        """Leave the moving line behind."""
        if self._moving and self._all:
            click.echo(err=True)

    def _show(self, line: str | None) -> None:
        elapsed = time.monotonic() - self._start
        left = elapsed / self._done * (self._all - self._done) if self._done else None
        state = f"[{self._done}/{self._all} done, {self._running} running, {duration(elapsed)}"
        state += f", about {duration(left)} left]" if left is not None else "]"
        if not self._moving:
            if line is not None:
                _say(f"{state} {line}")
            return
        click.echo(f"\r\x1b[K{line}\n{state}" if line is not None else f"\r\x1b[K{state}", err=True, nl=False)
