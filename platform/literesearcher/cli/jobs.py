"""`literesearcher jobs`: the jobs of the store as an operator sees them.

Owns: arguments and what is printed. Refuses to know: how jobs run. Ids that do not exist are exit code 2.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from literesearcher.jobs.ports import Store

T = TypeVar("T")
STATUSES = ["queued", "running", "cancelling", "completed", "incomplete", "failed", "cancelled"]


@click.group("jobs")
@click.option("--tenant", default="default", show_default=True, help="Whose jobs.")
@click.pass_context
def command(ctx: click.Context, tenant: str) -> None:
    """Jobs: list, show, events, replay, cancel, delete."""
    ctx.obj = tenant


def _with_store(work: Callable[[Store], Awaitable[T]]) -> T:
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async
    from literesearcher.cli.storage import opened_store

    settings = read_settings()
    log_to_stderr()

    async def session() -> T:
        async with opened_store(settings) as store:
            return await work(store)

    return run_async(session())


def _print_json(value: Any, *, indent: bool = True) -> None:
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0) + b"\n")


@command.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--text", help="Only those whose question holds this.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One job object a line.")
@click.pass_obj
def list_jobs(tenant: str, status: Any, text: str | None, limit: int, as_json: bool) -> int:
    """Newest first."""
    from literesearcher.cli.terminal_text import one_line
    from literesearcher.gateway.public import job_object
    from literesearcher.jobs.model import Job, JobFilter

    only = JobFilter(status=status, text=text)

    async def look(store: Store) -> list[Job]:
        jobs: list[Job] = []
        cursor = None
        while len(jobs) < limit:
            page = await store.list(tenant, only=only, cursor=cursor, limit=min(100, limit - len(jobs)))
            jobs += page.jobs
            cursor = page.next_cursor
            if cursor is None:
                break
        return jobs

    for job in _with_store(look):
        if as_json:
            _print_json(job_object(job), indent=False)
        else:
            reason = job.stop_reason or ""
            click.echo(
                f"{job.id}  {job.created_at:%Y-%m-%d %H:%M}  {job.status:<10} {reason:<16} {one_line(job.input, 60)}"
            )
    return 0


@command.command("show")
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="The whole job object.")
@click.pass_obj
def show_job(tenant: str, job_id: str, as_json: bool) -> int:
    """One job: its question, answer, sources, end, and its timeline with tokens, cache and cost."""
    from literesearcher.cli.job_timeline import timeline
    from literesearcher.cli.narration import conclude
    from literesearcher.cli.terminal_text import one_line
    from literesearcher.errors import DamagedEvent
    from literesearcher.gateway.whole_job import whole_job
    from literesearcher.jobs.model import Envelope, Job

    async def look(store: Store) -> tuple[Job, dict[str, Any], list[Envelope]]:
        job = await store.get(tenant, job_id)
        try:
            journal = [] if as_json else await store.read(job_id)
        except DamagedEvent:
            # The row says so; what else it tells is shown all the same.
            journal = []
        return job, await whole_job(store, job), journal

    job, whole, journal = _with_store(look)
    if as_json:
        _print_json(whole)
        return 0
    engine = whole["engine"]
    click.echo(f"{job.id}\nQuestion  {one_line(job.input, 400)}\n")
    for line in conclude(job, language_model=engine is None or bool(engine["language_model"])):
        click.echo(line)
    told = timeline(journal)
    for line in ["", *told] if told else []:
        click.echo(line)
    return 0


@command.command("events")
@click.argument("job_id")
@click.option("--follow", is_flag=True, help="Stay until the job has ended.")
@click.option("--json", "as_json", is_flag=True, help="One event object a line.")
@click.pass_obj
def show_events(tenant: str, job_id: str, follow: bool, as_json: bool) -> int:
    """A job's journal, in words or as JSON lines."""
    from literesearcher.cli.narration import tell
    from literesearcher.cli.watching import follow_journal
    from literesearcher.gateway.public import event_object
    from literesearcher.jobs.live import LocalLive
    from literesearcher.jobs.model import ENDED, Envelope

    def show(envelope: Envelope) -> None:
        if as_json:
            _print_json(event_object(envelope), indent=False)
            sys.stdout.flush()
        else:
            for line in tell(envelope):
                click.echo(f"{envelope.seq:>5}  {line}")

    async def look(store: Store) -> None:
        job = await store.get(tenant, job_id)
        if follow and job.status not in ENDED:
            async for envelope in follow_journal(store, LocalLive(), job_id):
                show(envelope)
        else:
            for envelope in await store.read(job_id):
                show(envelope)

    _with_store(look)
    return 0


@command.command("replay")
@click.argument("job_id", required=False)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A journal that `jobs events ID --json` wrote, instead of a job of the store.",
)
@click.option("--partial", is_flag=True, help="Replay what is there of a job that has not ended.")
@click.option("--json", "as_json", is_flag=True, help="The whole, with every divergence.")
@click.pass_obj
def replay_job(tenant: str, job_id: str | None, path: Path | None, partial: bool, as_json: bool) -> int:
    """Go through a job's journal again, offline: tool texts made of their recorded parts, every decision compared.

    Exit code 0: the same decisions. 1: a divergence, shown as a diff.
    """
    from literesearcher.cli.job_replay import as_object, replayed, summary, told
    from literesearcher.jobs.model import Envelope

    if (job_id is None) == (path is None):
        raise click.UsageError("give a job's ID or --file, one of them")

    async def look(store: Store) -> list[Envelope]:
        assert job_id is not None
        await store.get(tenant, job_id)
        return await store.read(job_id)

    if path is not None:
        from literesearcher.cli.journal_file import read_journal

        events = read_journal(path)
    else:
        events = _with_store(look)
    found = replayed(events, partial=partial)
    if as_json:
        _print_json(as_object(events[0].job_id, found))
    elif found.divergences:
        for line in told(found):
            click.echo(line)
    else:
        click.echo(summary(found))
    return 1 if found.divergences else 0


@command.command("cancel")
@click.argument("job_id")
@click.pass_obj
def cancel_job(tenant: str, job_id: str) -> int:
    """Cancel a job; one that nobody runs ends at once."""
    from literesearcher.cli.session import read_settings
    from literesearcher.cli.storage import open_live
    from literesearcher.jobs.cancellation import cancel
    from literesearcher.jobs.model import Job
    from literesearcher.timing.clock import SystemClock

    async def ask(store: Store) -> Job:
        live = open_live(read_settings())
        try:
            return await cancel(store, live, tenant_id=tenant, job_id=job_id, now=SystemClock().now())
        finally:
            await live.aclose()

    job = _with_store(ask)
    click.echo(f"{job.id} {job.status}")
    return 0


@command.command("delete")
@click.argument("job_id")
@click.pass_obj
def delete_job(tenant: str, job_id: str) -> int:
    """Cancel a job if it runs, then remove everything about it."""

    async def remove(store: Store) -> None:
        await store.delete(tenant, job_id)

    _with_store(remove)
    click.echo(f"{job_id} deleted")
    return 0
