"""`literesearcher gateway`: the HTTP API as a process of its own, on a store that orchestrators share.

Owns: arguments. Refuses to know: how it runs (`services`).
"""

from __future__ import annotations

import click


@click.command("gateway")
@click.option("--host", help="Address to listen on (default: GATEWAY__HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (default: GATEWAY__PORT; 0: any free one).")
def command(host: str | None, port: int | None) -> int:
    """The HTTP API alone: takes jobs in and shows them; `literesearcher orchestrator` runs them."""
    from literesearcher.cli import services
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async

    settings = services.with_address(read_settings(), host, port)
    log_to_stderr(services.SERVING_LEVEL)
    return run_async(services.serve_gateway(settings), fast=True)
