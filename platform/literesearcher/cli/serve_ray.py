"""`literesearcher serve --ray`: the gateway of this process, with the applications on a local Ray beside it.

Owns: that Ray is up before the gateway listens, and gone after it where this program started it. Refuses to know: Ray
(a process that is one of Ray's own dies with it, so commands of our own, in processes of their own, speak to it).
"""

from __future__ import annotations

import asyncio
import os
import sys

import click

from literesearcher.cli import services
from literesearcher.cli.cluster_connection import note_of
from literesearcher.cluster import local_ray
from literesearcher.cluster.configuration import check
from literesearcher.cluster.release import require_ray
from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.settings.model import Settings


async def serve_on_ray(settings: Settings) -> int:
    """Until a signal; the exit code."""
    require_ray()
    if settings.cluster.address is not None:
        raise ConfigurationError(
            "serve --ray starts a Ray of its own, and LITERESEARCHER_CLUSTER__ADDRESS names another: use "
            "`literesearcher cluster up` there, and `literesearcher gateway` here"
        )
    check(settings)
    ours = local_ray.find(note_of(settings)) is None
    try:
        if await _ran("up") != 0:
            raise BoundaryError("the applications did not start", code="cluster_start")
        return await services.serve_gateway(settings)
    finally:
        if ours:
            click.echo("ending the applications and Ray", err=True)
            await asyncio.shield(asyncio.ensure_future(_ran("down")))


async def _ran(command: str) -> int:
    """`literesearcher cluster COMMAND` with this process's environment; what it says is said here, on stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "literesearcher.cli.main", "cluster", command),
        env=dict(os.environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        # Ctrl-C is for this process; it tells the other.
        start_new_session=True,
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
