"""`literesearcher doctor`: what is configured, what answers, what is missing, what to do.

Owns: arguments, how findings are printed, the exit code. Refuses to know: how each thing is asked (`checks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from literesearcher.cli.checks import Finding
    from literesearcher.settings.model import Settings

_WORDS = {"ok": "ok", "missing": "--", "broken": "!!"}


@click.command("doctor")
@click.option(
    "--questions/--no-questions",
    default=None,
    help="Run the shipped questions through the whole platform (default: where the extractive engine is in force).",
)
def command(questions: bool | None) -> int:
    """What is configured (secrets masked), what answers, what is missing, what to do.

    Exit code 0: all that is configured works, 1: something is broken, 2: the settings themselves are.
    """
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async

    settings = read_settings()
    log_to_stderr()
    return run_async(_examine(settings, questions))


async def _examine(settings: Settings, questions: bool | None) -> int:
    from literesearcher.cli.checks import checks, configured
    from literesearcher.cli.question_check import check_questions

    click.echo("Configured (all names: docs/reference/settings.md)")
    shown = configured(settings)
    for name, value in shown:
        click.echo(f"  {name}={value}")
    if not shown:
        click.echo("  nothing: the embedded default is in force")
    click.echo("\nFound")
    broken = False
    async for finding in checks(settings):
        _show(finding)
        broken = broken or finding.state == "broken"
    local = settings.search_providers == ["local"] and settings.tools.url is None
    extractive = settings.engine_kind == "extractive" and local
    if questions or (questions is None and extractive and not broken):
        finding = await check_questions(settings)
        _show(finding)
        broken = broken or finding.state == "broken"
    click.echo("\nSomething is broken: see the lines marked !!" if broken else "\nAll that is configured works.")
    return 1 if broken else 0


def _show(finding: Finding) -> None:
    from literesearcher.cli.terminal_text import one_line

    click.echo(f"  {_WORDS[finding.state]}  {finding.subject:<13} {one_line(finding.told, 400)}")
    if finding.way_out:
        click.echo(f"      {'':<13} -> {one_line(finding.way_out, 400)}")
