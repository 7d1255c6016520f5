"""The metrics of this process on a port of their own, beside whatever else it does.

Owns: whether and where they are served. Refuses to know: what is counted (`telemetry`), sockets (`gateway.serving`).
The port is taken before anything else is said or served: one that cannot be had ends the program with one line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import click
from prometheus_client import CollectorRegistry

from literesearcher.cli.serving import address
from literesearcher.gateway.serving import serve
from literesearcher.settings.sections import MetricsSection
from literesearcher.telemetry.exposition import PATH, Exposition

TOOLS_PORT = 9101
"""Of `tools serve`, where none is set."""


@asynccontextmanager
async def metrics_served(
    registry: CollectorRegistry, section: MetricsSection, *, default_port: int | None = None
) -> AsyncIterator[None]:
    """Serve the registry inside the block, if the settings or `default_port` name a port. `ConfigurationError` where it
    cannot be had."""
    port = section.port if section.port is not None else default_port
    if port is None:
        yield
        return
    stop = asyncio.Event()
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(
        serve(
            Exposition(registry),
            host=section.host,
            port=port,
            stop=stop,
            ready=bound.set_result,
            setting="LITERESEARCHER_METRICS__PORT",
            grace_seconds=1.0,
        )
    )
    try:
        either: set[asyncio.Future[Any]] = {serving, bound}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        click.echo(f"metrics on {address(section.host, bound.result())}{PATH}", err=True)
        yield
    finally:
        stop.set()
        if not serving.done():
            await serving
