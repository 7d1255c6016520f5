"""`literesearcher store`: bring the job store's tables up to date, and say how it stands.

Owns: arguments and what is printed. Refuses to know: migrations (`jobs.sql_store`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from literesearcher.jobs.sql_store import StoreStatus


@click.group("store")
def command() -> None:
    """The job store: migrate, status. LITERESEARCHER_STORE__URL names it."""


@command.command("migrate")
def migrate_store() -> int:
    """Bring the tables up to date. Safe to run while older processes still work, and in several places at once."""
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async
    from literesearcher.cli.storage import prepare_data_dir
    from literesearcher.jobs.sql_store import migrate

    settings = read_settings()
    log_to_stderr()
    prepare_data_dir(settings)
    _show(run_async(migrate(settings.store_url)))
    return 0


@command.command("status")
def store_status() -> int:
    """Where it is, which revision it has, how many jobs it holds.

    Exit code 1 where a migration is due, or where only a newer version may read it.
    """
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async
    from literesearcher.jobs.sql_store import status

    settings = read_settings()
    log_to_stderr()
    found = run_async(status(settings.store_url))
    _show(found)
    return 0 if found.standing in ("current", "newer") else 1


def _show(status: StoreStatus) -> None:
    click.echo(f"store     {status.url}")
    click.echo(f"revision  {status.revision or 'none (empty: run `literesearcher store migrate`)'}")
    match status.standing:
        case "behind":
            click.echo(f"head      {status.head}: run `literesearcher store migrate`")
        case "newer":
            click.echo(f"head      {status.head}: the store was made by a newer version, and this one can use it")
        case "too_new":
            click.echo(
                f"level     {status.min_level}: the store was made by a newer version; install a newer literesearcher"
            )
        case _:
            pass
    for name, count in sorted(status.jobs.items()):
        click.echo(f"{name:<9} {count:,}")
