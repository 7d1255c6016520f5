"""`literesearcher cluster`: the applications on Ray Serve, on this machine or on a cluster.

Owns: arguments. Refuses to know: what is done (`cli.cluster_start`,
`cli.cluster_operations`).
"""

from __future__ import annotations

import click


@click.group("cluster")
def command() -> None:
    """Engine, tools and orchestrator as Ray Serve applications.

    Without CLUSTER__ADDRESS a Ray of its own is started on this machine, with a token that only it knows. The gateway
    needs no Ray.
    """


@command.command("up")
@click.option(
    "--timeout",
    "patience",
    type=click.FloatRange(min=0, min_open=True),
    default=1800.0,
    show_default=True,
    help="Seconds after which it gives up waiting (exit code 1); what runs is left as it is.",
)
def up(patience: float) -> int:
    """Start or update the applications; returns when they are healthy."""
    from literesearcher.cli import cluster_start
    from literesearcher.cli.local_corpus import prepare_corpus
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async
    from literesearcher.timing.clock import SystemClock

    settings = read_settings()
    log_to_stderr()
    prepare_corpus(settings)
    return run_async(cluster_start.up(settings, SystemClock(), patience=patience))


@command.command("status")
def status() -> int:
    """What runs where, and what is blocked. Exit code 1 where not all is healthy."""
    from literesearcher.cli import cluster_operations
    from literesearcher.cli.session import read_settings, run_async
    from literesearcher.timing.clock import SystemClock

    return run_async(cluster_operations.status(read_settings(), SystemClock()))


@command.command("down")
def down() -> int:
    """End the applications, and the Ray that `up` started."""
    from literesearcher.cli import cluster_operations
    from literesearcher.cli.session import read_settings, run_async
    from literesearcher.timing.clock import SystemClock

    return run_async(cluster_operations.down(read_settings(), SystemClock()))


@command.command("config")
def config() -> int:
    """Print Serve's configuration, as `serve deploy` and RayService take it. No secret is in it."""
    import yaml  # type: ignore[import-untyped]

    from literesearcher.cli.session import read_settings
    from literesearcher.cluster.configuration import serve_configuration

    click.echo(yaml.safe_dump(serve_configuration(read_settings()), sort_keys=False, allow_unicode=True), nl=False)
    return 0


@command.command("drain")
@click.argument("node", required=False)
def drain(node: str | None) -> int:
    """Take NODE (address or id) out of use; returns when no replica is on it. For before a node or pod is stopped."""
    from literesearcher.cli import cluster_operations
    from literesearcher.cli.session import read_settings, run_async
    from literesearcher.timing.clock import SystemClock

    return run_async(cluster_operations.drain(read_settings(), node, SystemClock()))
