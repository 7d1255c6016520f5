"""The local corpus of this data directory: where it lies, when it is used, its first build with progress.

Owns: saying on stderr what the build does. Refuses to know: how pages are indexed (`corpus`). Builds before the event
loop starts, so that Ctrl-C ends it at once and the index stays as it was.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from literesearcher.cli.storage import prepare_data_dir
from literesearcher.corpus.library import Library
from literesearcher.corpus.manifest import build
from literesearcher.errors import CallerError, ConfigurationError
from literesearcher.settings.model import Settings


def corpus_dir(settings: Settings) -> Path:
    """Where the corpora lie."""
    return settings.corpus.dir or settings.data_dir / "corpus"


def open_library(settings: Settings) -> Library:
    """The corpora as a person keeps them."""
    return Library(corpus_dir(settings), read_only=settings.corpus.read_only)


def uses_local(settings: Settings) -> bool:
    """Is the local corpus a provider of searches or pages of this process? A tool proxy elsewhere has its own."""
    if settings.tools.url is not None:
        return False
    return "local" in settings.search_providers or "local" in settings.page_providers


def prepare_corpus(settings: Settings) -> None:
    """Build the built-in corpus where it is used and missing, and what a manifest lists. The first takes seconds, once
    for a Python version. A process that only reads waits for nobody: it sees the corpus when its writer is done."""
    if not uses_local(settings) or settings.corpus.read_only:
        return
    prepare_data_dir(settings)
    progress = CorpusProgress()
    library = open_library(settings)
    manifest = settings.corpus.manifest_file
    try:
        built = library.ensure_pydoc(progress)
        if manifest is not None:
            built = bool(build(library, manifest, progress).built) or built
        if built:
            progress.done("the local corpus is ready")
    except CallerError as error:
        raise ConfigurationError(f"LITERESEARCHER_CORPUS__MANIFEST_FILE: {error.message}") from None
    finally:
        progress.close()


class CorpusProgress:
    """A line that changes on a terminal; elsewhere one line for each new thing that is done."""

    def __init__(self) -> None:
        self._moving = sys.stderr.isatty()
        self._last = ""
        self._open = False

    def __call__(self, what: str, done: int, total: int) -> None:
        """As `corpus.library.Progress`."""
        if self._moving:
            count = f" {done:,}/{total:,}" if total else f" {done:,}" if done else ""
            click.echo(f"\r\x1b[K{what}{count}", err=True, nl=False)
            self._open = True
        elif what != self._last:
            click.echo(f"{what} ...", err=True)
        self._last = what

    def done(self, line: str) -> None:
        """The last word."""
        self.close()
        click.echo(line, err=True)

    def close(self) -> None:
        """Take the moving line away."""
        if self._open:
            click.echo("\r\x1b[K", err=True, nl=False)
            self._open = False
