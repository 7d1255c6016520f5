"""`literesearcher corpus`: one's own documents beside the built-in corpus.

Owns: arguments and what is printed. Refuses to know: formats and the index (`corpus.library`).
"""

from __future__ import annotations

from pathlib import Path

import click

from literesearcher.cli.terminal_text import one_line
from literesearcher.errors import CallerError


@click.group("corpus")
def command() -> None:
    """The local corpus: add, list, remove."""


@command.command("add")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the corpus (default: from the path).")
def add(path: Path, name: str | None) -> int:
    """Put in a file or a folder: Markdown, HTML, text, PDF, or records (.jsonl, .jsonl.gz, .jsonl.zst).

    Adding the same path again replaces it. Lines and files that cannot be used are counted and named; the rest goes in.
    """
    from literesearcher.cli.local_corpus import CorpusProgress, open_library
    from literesearcher.cli.narration import plural
    from literesearcher.cli.session import TENANT, log_to_stderr, read_settings
    from literesearcher.cli.storage import prepare_data_dir

    settings = read_settings()
    log_to_stderr()
    prepare_data_dir(settings)
    progress = CorpusProgress()
    try:
        report = open_library(settings).add(path, name, tenant_id=TENANT, progress=progress)
    finally:
        progress.close()
    click.echo(f"{report.name}: {plural(report.pages, 'page')} added, {report.total_pages:,} in all")
    if report.cut:
        click.echo(f"{plural(report.cut, 'page')} cut: longer than a page may be", err=True)
    if report.broken_lines:
        click.echo(f"{plural(report.broken_lines, 'broken line')} left out:", err=True)
        for broken in report.broken:
            click.echo(f"  {one_line(broken.path)} line {broken.line}: {one_line(broken.reason, 200)}", err=True)
        if report.broken_lines > len(report.broken):
            click.echo(f"  and {report.broken_lines - len(report.broken):,} more", err=True)
    if report.skipped:
        click.echo(f"{plural(len(report.skipped), 'file')} left out:", err=True)
        for skipped in report.skipped:
            click.echo(f"  {one_line(skipped.path)}: {one_line(skipped.reason, 200)}", err=True)
    return 0


@command.command("list")
def list_corpora() -> int:
    """The corpora and how many pages each holds; builds the built-in one where it is missing."""
    from literesearcher.cli.local_corpus import open_library, prepare_corpus
    from literesearcher.cli.session import TENANT, log_to_stderr, read_settings

    settings = read_settings()
    log_to_stderr()
    prepare_corpus(settings)
    for info in open_library(settings).names(tenant_id=TENANT):
        sources = ", ".join(one_line(source, 100) for source in info.sources)
        click.echo(f"{info.name:<20} {info.pages:>9,} pages  {info.added_at}  {sources}")
    return 0


@command.command("remove")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Everything, also a broken index; the built-in one comes back.")
def remove(name: str | None, everything: bool) -> int:
    """Take a corpus out."""
    from literesearcher.cli.local_corpus import open_library
    from literesearcher.cli.narration import plural
    from literesearcher.cli.session import TENANT, log_to_stderr, read_settings

    if (name is None) != everything:
        raise CallerError("name a corpus, or say --all")
    settings = read_settings()
    log_to_stderr()
    library = open_library(settings)
    if name is None:
        library.remove_all()
        click.echo("everything removed")
    else:
        click.echo(f"{name}: {plural(library.remove(name, tenant_id=TENANT), 'page')} removed")
    return 0
