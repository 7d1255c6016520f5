"""`literesearcher orchestrator`: a worker as a process of its own, with its tools inside it.

Owns: the command. Refuses to know: how it runs (`services`).
"""

from __future__ import annotations

import click


@click.command("orchestrator")
def command() -> int:
    """A worker alone: claims jobs of the shared store and runs them. Start as many as you like."""
    from literesearcher.cli import services
    from literesearcher.cli.local_corpus import prepare_corpus
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async

    settings = read_settings()
    log_to_stderr(services.SERVING_LEVEL)
    prepare_corpus(settings)
    return run_async(services.run_orchestrator(settings), fast=True)
