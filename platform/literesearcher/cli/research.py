"""`literesearcher research`: one question as a durable job, driven here, watched in the terminal to its end.

Owns: where the question comes from, Ctrl-C, exit codes. Refuses to know: how a job is driven (the orchestrator), how
it is shown (`progress`). A second Ctrl-C leaves at once; the job stays and `--resume` goes on with it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from literesearcher.cli.job_options import given as given_options
from literesearcher.cli.job_options import say_how_long_it_is_kept, tool_options
from literesearcher.errors import CallerError

DEFAULT_QUESTION = (
    "Which function of the heapq module merges several sorted inputs into one sorted iterator, "
    "and which keyword argument of it takes a key function?"
)
MAX_INPUT_BYTES = 1_000_000
"""More than any question may hold; what is longer is not read to its end."""


@click.command("research")
@click.argument("question", required=False)
@click.option("--question-env", metavar="NAME", help="Read the question from this variable (empty: a default one).")
@click.option("--resume", metavar="ID", help="Go on with a job that was interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole job object on stdout, and nothing else there.")
@click.option("--max-turns", type=int, help="Model turns at most.")
@click.option("--max-tool-calls", type=int, help="Tool calls at most.")
@click.option("--max-tokens", type=int, help="Tokens of the whole job at most.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Wall clock of the job, downtime included.")
@tool_options
@click.option("--profile", type=click.Choice(["inference", "training"]), help="Which world the tools imitate.")
@click.option("--question-form", type=click.Choice(["bare", "space", "label"]), help="How the question is written.")
@click.option("--at-context-limit", type=click.Choice(["answer", "compress"]), help="What a full context leads to.")
def command(question: str | None, question_env: str | None, resume: str | None, as_json: bool, **wishes: Any) -> int:
    """Answer one QUESTION in the terminal (- reads it from stdin).

    Progress goes to stderr; the answer, its sources and how the job ended go to stdout. Exit code 0: answered,
    1: ended without an answer, 2: bad input or configuration, 130: cancelled.
    """
    given = sum(value is not None for value in (question, question_env, resume))
    if given != 1:
        raise click.UsageError("give a question or --resume ID" + (", not both" if given else ""))
    text = None if resume is not None else read_question(question, question_env)
    if resume is not None and given_options(wishes):
        raise click.UsageError("--resume goes on with the job as it was created: leave the other options out")

    from literesearcher.cli.local_corpus import prepare_corpus
    from literesearcher.cli.one_job import answer
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async

    settings = read_settings()
    log_to_stderr()
    prepare_corpus(settings)
    say_how_long_it_is_kept(settings, wishes)
    return run_async(answer(settings, question=text, resume=resume, as_json=as_json, wishes=wishes))


def read_question(question: str | None, question_env: str | None) -> str:
    """The question as typed. `CallerError` where it is not valid Unicode or beyond any measure."""
    if question_env is not None:
        question = os.environ.get(question_env, "")
        if not question.strip():
            click.echo(f"no question given; for example: {DEFAULT_QUESTION}", err=True)
            return DEFAULT_QUESTION
    elif question == "-":
        raw = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        if len(raw) > MAX_INPUT_BYTES:
            raise CallerError(f"the question is longer than {MAX_INPUT_BYTES:,} bytes", field="input")
        question = raw.decode("utf-8", errors="surrogateescape").rstrip("\r\n")
    assert question is not None
    try:
        question.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CallerError(f"the question is not valid UTF-8 (at character {error.start})", field="input") from None
    return question
