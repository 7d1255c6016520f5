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
from literesearcher.settings.model import Settings


def corpus_dir(settings: Settings) -> Path:
    """Where the corpora lie."""
    return settings.data_dir / "corpus"


def open_library(settings: Settings) -> Library:
    """The corpora as a person keeps them."""
    return Library(corpus_dir(settings))


def uses_local(settings: Settings) -> bool:
    """Is the local corpus a provider of searches or pages?"""
    return "local" in settings.search_providers or "local" in settings.page_providers


def prepare_corpus(settings: Settings) -> None:
    """Build the built-in corpus where it is used and missing. Takes seconds, once for a Python version."""
    if not uses_local(settings):
        return
    prepare_data_dir(settings)
    progress = CorpusProgress()
    try:
        if open_library(settings).ensure_pydoc(progress):
            progress.done("the local corpus is ready")
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
