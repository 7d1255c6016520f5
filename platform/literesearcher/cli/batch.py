"""`literesearcher batch`: a dataset of questions, several rollouts each, on durable jobs.

Owns: arguments, progress on stderr, the last line. Refuses to know: how rollouts run (`batch_run`) and what is kept
(`batch_state`). Killed at any moment, the same command goes on where it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from literesearcher.cli.job_options import given, say_how_long_it_is_kept, tool_options


@click.command("batch")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--rollouts", type=click.IntRange(1, 1000), default=1, show_default=True, help="Tries at each question.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of results.jsonl and the state.")
@click.option("--concurrency", type=click.IntRange(1, 10_000), help="Jobs at once (default: MAX_CONCURRENT_JOBS).")
@tool_options
@click.option("--retry-failed", is_flag=True, help="Run rollouts that ended failed or cancelled once more.")
def command(dataset: Path, rollouts: int, out: Path, concurrency: int | None, retry_failed: bool, **wishes: Any) -> int:
    """Run DATASET (JSONL: question and answer a line; id and messages forms too) as durable jobs.

    Results are appended to OUT/results.jsonl as rollouts finish. Run the same command again to go on after an
    interruption: finished rollouts are never run twice; under other options for the tools they are other rollouts. Exit
    code 0: every rollout ended, none of them failed.
    """
    from literesearcher.cli.batch_session import run_batch
    from literesearcher.cli.local_corpus import prepare_corpus
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async

    settings = read_settings()
    log_to_stderr()
    slots = concurrency or settings.research.max_concurrent_jobs
    prepare_corpus(settings)
    say_how_long_it_is_kept(settings, wishes)
    return run_async(
        run_batch(
            settings,
            dataset,
            rollouts=rollouts,
            out=out,
            concurrency=slots,
            retry_failed=retry_failed,
            wishes=given(wishes),
        ),
        fast=True,
    )
