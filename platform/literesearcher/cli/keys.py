"""`literesearcher keys`: API keys of the gateway, each belonging to a tenant.

Owns: arguments and what is printed; a token is printed once and never again. Refuses to know: how keys are kept.
"""

from __future__ import annotations

import re

import click

from literesearcher.errors import CallerError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@click.group("keys")
def command() -> None:
    """API keys: create, list, revoke. As soon as there is one, the gateway asks for it."""


@command.command("create")
@click.argument("name", default="default")
@click.option("--tenant", default="default", show_default=True, help="Whose jobs the key opens.")
def create_key(name: str, tenant: str) -> int:
    """Make a key and print its token on stdout, once."""
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async
    from literesearcher.cli.storage import opened_store

    for field, value in (("NAME", name), ("--tenant", tenant)):
        if not _NAME.fullmatch(value):
            raise CallerError(f"{field} must be 1 to 64 letters, digits or . _ @ -, beginning with a letter or digit")
    settings = read_settings()
    log_to_stderr()

    async def create() -> str:
        async with opened_store(settings) as store:
            _, token = await store.create_key(tenant, name)
            return token

    token = run_async(create())
    click.echo(f"key {name} of tenant {tenant}; keep the token, it is shown only now:", err=True)
    click.echo(token)
    return 0


@command.command("list")
def list_keys() -> int:
    """All keys, newest first, without their secrets."""
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async
    from literesearcher.cli.storage import opened_store
    from literesearcher.cli.terminal_text import one_line
    from literesearcher.jobs.model import ApiKey

    settings = read_settings()
    log_to_stderr()

    async def look() -> list[ApiKey]:
        async with opened_store(settings) as store:
            return await store.list_keys()

    for key in run_async(look()):
        state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "live"
        name = one_line(key.name, 32)
        click.echo(f"{key.id}  {one_line(key.tenant_id, 24):<24} {name:<32} {key.created_at:%Y-%m-%d %H:%M}  {state}")
    return 0


@command.command("revoke")
@click.argument("key_id")
def revoke_key(key_id: str) -> int:
    """Revoke a key by its id (its token names it too). Revoking twice is no error."""
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async
    from literesearcher.cli.storage import opened_store
    from literesearcher.cli.terminal_text import one_line
    from literesearcher.jobs.keys import named_key
    from literesearcher.jobs.model import ApiKey

    settings = read_settings()
    log_to_stderr()

    async def revoke() -> ApiKey:
        async with opened_store(settings) as store:
            return await store.revoke_key(named_key(key_id))

    key = run_async(revoke())
    click.echo(f"revoked {key.id} ({one_line(key.name, 64)})")
    return 0
