"""`literesearcher serve`: gateway, orchestrator and tools in one process.

Owns: arguments. Refuses to know: how the parts run (`services`, `serve_ray`).
"""

from __future__ import annotations

import click


@click.command("serve")
@click.option("--host", help="Address to listen on (default: GATEWAY__HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (default: GATEWAY__PORT; 0: any free one).")
@click.option("--ray", is_flag=True, help="Worker, tools and engine on a Ray of this machine, the HTTP API here.")
def command(host: str | None, port: int | None, ray: bool) -> int:
    """Everything in one process: the HTTP API, a worker, the tools.

    SIGTERM or Ctrl-C drains: running jobs finish their current step within the grace period and go on later.
    """
    from literesearcher.cli import services
    from literesearcher.cli.local_corpus import prepare_corpus
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async

    settings = services.with_address(read_settings(), host, port)
    log_to_stderr(services.SERVING_LEVEL)
    if ray:
        from literesearcher.cli.serve_ray import serve_on_ray

        return run_async(serve_on_ray(settings), fast=True)
    prepare_corpus(settings)
    return run_async(services.serve_everything(settings), fast=True)
