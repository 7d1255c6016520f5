"""`literesearcher corpus`: one's own documents beside the built-in corpus.

Owns: arguments and what is printed. Refuses to know: formats and the index (`corpus.library`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from literesearcher.cli.terminal_text import one_line
from literesearcher.errors import CallerError

if TYPE_CHECKING:
    from literesearcher.corpus.records import AddReport


@click.group("corpus")
def command() -> None:
    """The local corpus: add, build by a manifest, list, remove."""


_tenant = click.option("--tenant", help="Whose corpus it is (default: the tenant of the command line).")
_public = click.option("--public", is_flag=True, help="Every tenant's.")


def _owner(tenant: str | None, public: bool) -> str:
    """The tenant that is meant; `*` is everybody."""
    from literesearcher.cli.session import TENANT
    from literesearcher.corpus.records import PUBLIC

    if public and tenant is not None:
        raise CallerError("say --tenant or --public, not both")
    return PUBLIC if public else tenant or TENANT


@command.command("add")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the corpus (default: from the path).")
@_tenant
@_public
def add(path: Path, name: str | None, tenant: str | None, public: bool) -> int:
    """Put in a file or a folder: Markdown, HTML, text, PDF, or records (.jsonl, .jsonl.gz, .jsonl.zst).

    Adding the same path again replaces it. Lines and files that cannot be used are counted and named; the rest goes in.
    """
    from literesearcher.cli.local_corpus import CorpusProgress, open_library
    from literesearcher.cli.session import log_to_stderr, read_settings
    from literesearcher.cli.storage import prepare_data_dir

    owner = _owner(tenant, public)
    settings = read_settings()
    log_to_stderr()
    prepare_data_dir(settings)
    progress = CorpusProgress()
    try:
        report = open_library(settings).add(path, name, tenant_id=owner, progress=progress)
    finally:
        progress.close()
    _tell(report)
    return 0


def _tell(report: AddReport) -> None:
    from literesearcher.cli.narration import plural

    click.echo(f"{report.name}: {plural(report.pages, 'page')} added, {report.total_pages:,} in all")
    if report.cut:
        click.echo(f"{plural(report.cut, 'page')} cut: longer than a page may be", err=True)
    if report.broken_lines:
        click.echo(f"{plural(report.broken_lines, 'broken line')} left out:", err=True)
        for broken in report.broken:
            click.echo(f"  {one_line(broken.path)} line {broken.line}: {one_line(broken.reason, 200)}", err=True)
        if report.broken_lines > len(report.broken):
            click.echo(f"  and {report.broken_lines - len(report.broken):,} more", err=True)
    for files, what in ((report.partial, "read in part"), (report.skipped, "left out")):
        if files:
            click.echo(f"{plural(len(files), 'file')} {what}:", err=True)
        for skipped in files:
            click.echo(f"  {one_line(skipped.path)}: {one_line(skipped.reason, 200)}", err=True)


@command.command("build")
@click.argument("manifest", type=click.Path(path_type=Path))
def build_manifest(manifest: Path) -> int:
    """Make the corpora be what a manifest lists: {"corpora": [{"name", "path", "tenant", "sha256"}]}.

    Every machine that builds the same manifest over the same files has the same pages. What is unchanged is not read
    again; what the manifest no longer lists is removed; corpora added by hand are let be.
    """
    from literesearcher.cli.local_corpus import CorpusProgress, open_library
    from literesearcher.cli.session import log_to_stderr, read_settings
    from literesearcher.cli.storage import prepare_data_dir
    from literesearcher.corpus.manifest import build

    settings = read_settings()
    log_to_stderr()
    prepare_data_dir(settings)
    progress = CorpusProgress()
    try:
        done = build(open_library(settings), manifest, progress)
    finally:
        progress.close()
    for report in done.built:
        _tell(report)
    for name in done.kept:
        click.echo(f"{name}: as the manifest says already")
    for name in done.removed:
        click.echo(f"{name}: removed, the manifest does not list it")
    return 0


@command.command("list")
@_tenant
def list_corpora(tenant: str | None) -> int:
    """The tenant's corpora and the public ones, with their pages; builds the built-in one where it is missing."""
    from literesearcher.cli.local_corpus import open_library, prepare_corpus
    from literesearcher.cli.session import log_to_stderr, read_settings

    owner = _owner(tenant, False)
    settings = read_settings()
    log_to_stderr()
    prepare_corpus(settings)
    for info in open_library(settings).names(tenant_id=owner):
        sources = ", ".join(one_line(source, 100) for source in info.sources)
        whose = "public" if info.public else one_line(owner, 20)
        click.echo(f"{info.name:<20} {info.pages:>9,} pages  {whose:<10} {info.added_at}  {sources}")
    return 0


@command.command("remove")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Everything, also a broken index; the built-in one comes back.")
@_tenant
@_public
def remove(name: str | None, everything: bool, tenant: str | None, public: bool) -> int:
    """Take a corpus out."""
    from literesearcher.cli.local_corpus import open_library
    from literesearcher.cli.narration import plural
    from literesearcher.cli.session import log_to_stderr, read_settings

    owner = _owner(tenant, public)
    if (name is None) != everything:
        raise CallerError("name a corpus, or say --all")
    settings = read_settings()
    log_to_stderr()
    library = open_library(settings)
    if name is None:
        library.remove_all()
        click.echo("everything removed")
    else:
        click.echo(f"{name}: {plural(library.remove(name, tenant_id=owner), 'page')} removed")
    return 0
