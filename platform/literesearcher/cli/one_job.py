"""Drives one job in this process and shows it: what `literesearcher research` does once it has its question.

Owns: the job's creation or resumption, signals, the last word. Refuses to know: arguments, wiring.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import click
import orjson

from literesearcher.cli.interrupts import INTERRUPTED
from literesearcher.cli.job_options import tools_wish
from literesearcher.cli.narration import HEADINGS, conclude, duration
from literesearcher.cli.progress import Progress, open_progress
from literesearcher.cli.session import TENANT, on_signals
from literesearcher.cli.watching import follow_journal, follow_text
from literesearcher.cli.wiring import Platform, open_platform
from literesearcher.gateway.whole_job import engine_of, whole_job
from literesearcher.jobs.cancellation import cancel
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.jobs.model import ENDED, Job
from literesearcher.jobs.spending import budget_of
from literesearcher.settings.model import Settings

EXIT_BY_STATUS = {"completed": 0, "incomplete": 1, "failed": 1, "cancelled": INTERRUPTED}
TERMINATED = 143


def spec_of(question: str, wishes: Mapping[str, Any]) -> JobSpec:
    """What the command line asks for, as the gateway would be asked."""
    limits = {
        "max_turns": wishes.get("max_turns"),
        "max_tool_calls": wishes.get("max_tool_calls"),
        "max_tokens": wishes.get("max_tokens"),
        "timeout_seconds": wishes.get("timeout"),
        "max_tool_cost_usd": wishes.get("max_tool_cost"),
    }
    return JobSpec(
        input=question,
        profile=wishes.get("profile"),
        question_form=wishes.get("question_form"),
        at_context_limit=wishes.get("at_context_limit"),
        limits={name: value for name, value in limits.items() if value is not None},
        tools=tools_wish(wishes),
    )


async def answer(
    settings: Settings, *, question: str | None, resume: str | None, as_json: bool, wishes: Mapping[str, Any]
) -> int:
    """Run the job to its end; the exit code."""
    async with open_platform(settings) as platform:
        if resume is not None:
            job = await platform.store.get(TENANT, resume)
        else:
            assert question is not None
            created = new_job(
                spec_of(question, wishes),
                tenant_id=TENANT,
                research=settings.research,
                prompts=platform.prompts,
                now=platform.clock.now(),
                fidelity=settings.tools.fidelity,
            )
            job, _ = await platform.store.create(created, budget=budget_of(settings.budgets, TENANT))
        progress = open_progress()
        try:
            if job.status not in ENDED:
                progress.say(f"job {job.id}  (after an interruption: literesearcher research --resume {job.id})")
            ended = await _drive(platform, job, progress)
        finally:
            progress.close()
        if ended is None:
            click.echo(f"stopped; go on with: literesearcher research --resume {job.id}", err=True)
            return TERMINATED
        await _last_word(platform, ended, as_json=as_json)
        return EXIT_BY_STATUS[ended.status]


async def _drive(platform: Platform, job: Job, progress: Progress) -> Job | None:
    """To its end, None where SIGTERM came first. Ctrl-C cancels the job; the driver then brings it to its end."""
    orchestrator = platform.orchestrator()
    driving = asyncio.create_task(
        orchestrator.run_job(job.id, tenant_id=job.tenant_id, on_wait=_Waiting(progress, job.id))
    )
    watching = asyncio.create_task(_watch(platform, job, progress))
    listening = asyncio.create_task(follow_text(platform.live, job.id, progress.delta)) if sys.stderr.isatty() else None
    cancelling: list[asyncio.Task[Job]] = []

    def interrupted() -> None:
        if cancelling:
            progress.close()
            click.echo(f"left at once; go on with: literesearcher research --resume {job.id}", err=True)
            os._exit(INTERRUPTED)
        progress.say("cancelling (Ctrl-C again leaves at once)")
        cancelling.append(
            asyncio.create_task(
                cancel(platform.store, platform.live, tenant_id=job.tenant_id, job_id=job.id, now=platform.clock.now())
            )
        )

    with on_signals({signal.SIGINT: interrupted, signal.SIGTERM: driving.cancel}):
        try:
            await asyncio.wait([driving])
            for letter in cancelling:
                await letter
            if driving.cancelled():
                return None
            ended = driving.result()
            await asyncio.wait([watching], timeout=5)
            return ended
        finally:
            for task in filter(None, (driving, watching, listening)):
                task.cancel()
            await asyncio.gather(*filter(None, (driving, watching, listening)), return_exceptions=True)


async def _watch(platform: Platform, job: Job, progress: Progress) -> None:
    async for envelope in follow_journal(platform.store, platform.live, job.id):
        progress.event(envelope)


class _Waiting:
    """Says once that another process holds the job, and for how long a dead one's lease may still run."""

    def __init__(self, progress: Progress, job_id: str) -> None:
        self._progress = progress
        self._job_id = job_id
        self._said = False

    def __call__(self, seconds: float) -> None:
        if self._said:
            return
        self._said = True
        self._progress.say(
            f"another process holds job {self._job_id}: waiting "
            f"(if it died, its lease runs out within {duration(seconds)})"
        )


async def _last_word(platform: Platform, job: Job, *, as_json: bool) -> None:
    if as_json:
        whole = await whole_job(platform.store, job)
        sys.stdout.buffer.write(orjson.dumps(whole, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
        return
    engine = await engine_of(platform.store, job)
    for line in conclude(job, language_model=engine is None or bool(engine["language_model"])):
        click.echo(click.style(line, bold=True) if line in HEADINGS else line)
