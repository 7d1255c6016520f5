"""The tool proxy as a program: served over HTTP, or asked once.

Owns: opening it and what is said at the start. Refuses to know: routes (`tools.service.app`), sockets, signals.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import click

from literesearcher.cli.metrics_port import TOOLS_PORT, metrics_served
from literesearcher.cli.prompt_files import read_prompts
from literesearcher.cli.serving import address, serve_until_stopped
from literesearcher.cli.wiring_engine import make_engine
from literesearcher.cli.wiring_tools import open_tools
from literesearcher.gateway.serving import serve
from literesearcher.settings.model import Settings
from literesearcher.telemetry.exposition import process_registry
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.port import Ask, ToolRequest, ToolResult, Tools
from literesearcher.tools.service.access import require_token_beyond_loopback
from literesearcher.tools.service.app import create_app

DRAIN_SECONDS = 30.0
"""What runs when the proxy is told to stop may end; what does not is tried again by its caller."""


def with_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    """The settings with what the command line says of the tools' address."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return settings.model_copy(update={"tools": settings.tools.model_copy(update=given)})


def own_proxy(settings: Settings) -> Settings:
    """For the process that is the proxy: a TOOLS__URL that all processes are given is not asked by it."""
    return settings.model_copy(update={"tools": settings.tools.model_copy(update={"url": None})})


@asynccontextmanager
async def opened_tools(settings: Settings, metrics: ToolMetrics | None = None) -> AsyncIterator[Tools]:
    """The tools with their own engine for page extraction, without a job store."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        engine = make_engine(settings.engine, clock, models=settings.models_dir)
        stack.push_async_callback(engine.aclose)
        prompts = read_prompts(settings)
        yield await open_tools(settings, engine=engine, prompts=prompts, clock=clock, stack=stack, metrics=metrics)


async def serve_tools(settings: Settings) -> int:
    """Over HTTP until a signal."""
    section = settings.tools
    require_token_beyond_loopback(section)
    metrics = ToolMetrics(process_registry())
    async with (
        metrics_served(metrics.registry, settings.metrics, default_port=TOOLS_PORT),
        opened_tools(settings, metrics) as tools,
    ):
        app = create_app(
            tools, token=section.token, fidelity=section.fidelity, published_prefix=section.published_prefix
        )

        def ready(port: int) -> None:
            click.echo(f"listening on {address(section.host, port)}", err=True)
            said = "a token is needed" if section.token else "no token is needed: only this machine is served"
            click.echo(said, err=True)

        def api(stop: asyncio.Event) -> Awaitable[None]:
            return serve(
                app,
                host=section.host,
                port=section.port,
                stop=stop,
                ready=ready,
                setting="LITERESEARCHER_TOOLS__PORT",
                grace_seconds=DRAIN_SECONDS,
            )

        return await serve_until_stopped([api], stopping_line="stopping: calls under way may end within seconds")


async def call_once(settings: Settings, name: str, arguments: dict[str, Any], ask: Ask) -> ToolResult:
    """One call, as a job would make it; through TOOLS__URL where it is set."""
    async with opened_tools(settings) as tools:
        return await tools.call(ToolRequest(name, arguments, ask))
