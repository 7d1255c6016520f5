"""The long-running programs: everything in one process, or gateway, orchestrator and tools each alone.

Owns: what runs beside what, and what is said at the start. Refuses to know: sockets (`gateway.serving`), signals
(`serving`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

import click

from literesearcher.cli.metrics_port import metrics_served
from literesearcher.cli.serving import Part, address, serve_until_stopped
from literesearcher.cli.wiring import Foundation, Platform, open_foundation, open_platform
from literesearcher.cli.wiring_raw_model import of_a_gateway_alone, raw_model
from literesearcher.engine.load import Starting
from literesearcher.engine.port import Engine
from literesearcher.gateway.app import create_app
from literesearcher.gateway.auth import bootstrap, check_exposure, has_live_keys
from literesearcher.gateway.serving import serve
from literesearcher.jobs.ports import Store
from literesearcher.settings.model import Settings
from literesearcher.settings.own_site import is_loopback
from literesearcher.telemetry.exposition import process_registry
from literesearcher.telemetry.tool_metrics import ToolMetrics

SERVING_LEVEL = logging.INFO


def with_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    """The settings with what the command line says of the gateway's address."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return settings.model_copy(update={"gateway": settings.gateway.model_copy(update=given)})


def _say(line: str) -> None:
    click.echo(line, err=True)


async def _admit(store: Store, settings: Settings) -> bool:
    """Is a key needed? Raises ConfigurationError where the gateway would be open to others."""
    keyed = await bootstrap(store, settings) or await has_live_keys(store)
    check_exposure(settings, keyed)
    return keyed


@asynccontextmanager
async def _counted_platform(settings: Settings) -> AsyncIterator[Platform]:
    """The platform; its metrics are served where METRICS__PORT is set."""
    metrics = ToolMetrics(process_registry())
    async with (
        metrics_served(metrics.registry, settings.metrics),
        open_platform(settings, metrics=metrics) as platform,
    ):
        runtime = getattr(platform.engine, "collector", None)
        if runtime is not None:
            metrics.registry.register(runtime)
        yield platform


async def _serve_api(parts: Foundation, *, beside: Sequence[Part] = ()) -> int:
    keyed = await _admit(parts.store, parts.settings)
    gateway = parts.settings.gateway
    model = raw_model(parts.settings, parts.engine, parts.clock)
    app = create_app(
        store=parts.store,
        live=parts.live,
        settings=parts.settings,
        prompts=parts.prompts,
        clock=parts.clock,
        engine_info=parts.engine.describe,
        raw_model=model,
    )

    def ready(port: int) -> None:
        _say(f"listening on {address(gateway.host, port)}")
        if keyed:
            _say("a key is needed: send Authorization: Bearer lr_... (make one with `literesearcher keys create NAME`)")
        else:
            _say("no key is needed" + (": only this machine can connect" if is_loopback(gateway.host) else ""))

    def api(stop: asyncio.Event) -> Awaitable[None]:
        return serve(app, host=gateway.host, port=gateway.port, stop=stop, ready=ready)

    try:
        return await serve_until_stopped([api, *beside])
    finally:
        await model.aclose()


async def _started(engine: Engine) -> None:
    """A model that this process holds is loaded, or said to be wrong, before anything is taken."""
    if isinstance(engine, Starting):
        _say("loading the model")
        await engine.start()


async def serve_everything(settings: Settings) -> int:
    """Gateway, worker and tools in one process, wired directly."""
    async with _counted_platform(settings) as platform:
        if settings.engine_kind == "extractive":
            _say(
                "engine extractive: no language model writes the answers (set LITERESEARCHER_ENGINE__BASE_URL for one)"
            )
        await _started(platform.engine)
        return await _serve_api(platform, beside=[platform.orchestrator().run])


async def serve_gateway(settings: Settings) -> int:
    """The HTTP API alone. Of the engine it asks what it is, and passes requests for the raw model on to it."""
    async with open_foundation(of_a_gateway_alone(settings)) as parts:
        return await _serve_api(parts)


async def run_orchestrator(settings: Settings) -> int:
    """A worker alone, with its tools inside it or at a proxy elsewhere."""
    async with _counted_platform(settings) as platform:
        await _started(platform.engine)
        _say(f"taking jobs of the store, at most {settings.research.max_concurrent_jobs} at once")
        return await serve_until_stopped([platform.orchestrator().run])
