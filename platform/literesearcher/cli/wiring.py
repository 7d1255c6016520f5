"""The one place of this process where concrete objects are put together: the embedded platform, and parts of it.

Owns: which class stands behind each port for given settings, and closing them in reverse order. Refuses to know: what
they do. Nothing here is tried again: a part that cannot start says so at once.
Neighbours: `wiring_engine`, `wiring_tools` (the tool proxy, its corpus and extractor), `storage` (the data directory,
the store, live text), `local_corpus` (built before the loop starts).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from literesearcher.cli.prompt_files import read_prompts
from literesearcher.cli.storage import open_live, open_settings_store, prepare_data_dir
from literesearcher.cli.wiring_engine import compressing_engine, main_engine
from literesearcher.cluster.admission.engine_admission import EngineAdmission, loads_of
from literesearcher.engine.load import Loaded
from literesearcher.engine.port import Engine
from literesearcher.engine.start_phases import PhaseSink
from literesearcher.jobs.ids import new_id
from literesearcher.jobs.live import Live
from literesearcher.jobs.ports import Store
from literesearcher.orchestrator.admission import Admission
from literesearcher.orchestrator.worker import Orchestrator
from literesearcher.research.prompts import Prompts
from literesearcher.settings.model import Settings
from literesearcher.telemetry.start_metrics import StartMetrics, in_registry
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock, SystemClock
from literesearcher.tools.port import Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What the gateway needs, and a worker too. `open_foundation` makes it and closes it."""

    settings: Settings
    clock: Clock
    prompts: Prompts
    store: Store
    live: Live
    engine: Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform(Foundation):
    """All parts of one process. `open_platform` makes it and closes it."""

    compressor: Engine | None
    tools: Tools

    def orchestrator(self) -> Orchestrator:
        """A worker of its own name; several may run in one process."""
        settings = self.settings
        return Orchestrator(
            store=self.store,
            live=self.live,
            engine=self.engine,
            compressor=self.compressor,
            tools=self.tools,
            orchestrator=settings.orchestrator,
            research=settings.research,
            engine_section=settings.engine,
            clock=self.clock,
            worker_id=worker_id(),
            attempt_settings=attempt_settings(settings),
            budgets=settings.budgets,
            weights=settings.admission.weights,
            repeats=settings.tools.repeats,
            admission=admission_of(self.engine, settings, self.clock),
        )


def admission_of(engine: Engine, settings: Settings, clock: Clock) -> Admission | None:
    """The limit that follows the engine's KV pool, where it has one in this process."""
    if not isinstance(engine, Loaded):
        return None
    return EngineAdmission(loads_of(engine), most=settings.research.max_concurrent_jobs, clock=clock)


def worker_id() -> str:
    """Host, process and a random part, so that two workers never share a name."""
    return f"{socket.gethostname()}-{os.getpid()}-{new_id('worker')[-8:]}"


def attempt_settings(settings: Settings) -> dict[str, object]:
    """What bears on a job's results and is not in its own journal already. No secrets."""
    if settings.tools.url is not None:
        return {"tools": settings.tools.url, "endpoint": settings.engine.endpoint}
    return {
        "search": settings.search_providers,
        "pages": settings.page_providers,
        "cache": settings.tools.cache,
        "endpoint": settings.engine.endpoint,
    }


@contextlib.asynccontextmanager
async def open_foundation(settings: Settings, *, on_phase: PhaseSink | None = None) -> AsyncIterator[Foundation]:
    """All but the tools. Closes what it opened, also where a later part cannot start. `on_phase` is told each phase of
    the engine's start."""
    clock = SystemClock()
    prompts = read_prompts(settings)
    prepare_data_dir(settings)
    async with contextlib.AsyncExitStack() as stack:
        store = await open_settings_store(settings)
        stack.push_async_callback(store.aclose)
        live = open_live(settings)
        stack.push_async_callback(live.aclose)
        engine = main_engine(settings, clock, on_phase=on_phase)
        stack.push_async_callback(engine.aclose)
        yield Foundation(settings=settings, clock=clock, prompts=prompts, store=store, live=live, engine=engine)


@contextlib.asynccontextmanager
async def open_platform(settings: Settings, *, metrics: ToolMetrics | None = None) -> AsyncIterator[Platform]:
    """Everything, wired directly. Closes what it opened, also where a later part cannot start. `metrics` are the
    tools', and their registry the engine's too, for whoever serves them."""
    # Here, for processes that hold no tools of their own: it brings the corpus and the page formats with it.
    from literesearcher.cli.wiring_tools import open_tools

    async with contextlib.AsyncExitStack() as stack:
        counted = metrics is not None and settings.engine_kind == "sglang"
        starts = StartMetrics(in_registry(metrics.registry)) if metrics is not None and counted else None
        on_phase = starts.ended if starts is not None else None
        base = await stack.enter_async_context(open_foundation(settings, on_phase=on_phase))
        own = getattr(base.engine, "collector", None)
        if metrics is not None and own is not None:
            metrics.registry.register(own)
            stack.callback(metrics.registry.unregister, own)
        tools = await open_tools(
            settings, engine=base.engine, prompts=base.prompts, clock=base.clock, stack=stack, metrics=metrics
        )
        compressor = compressing_engine(settings, base.clock)
        if compressor is not None:
            stack.push_async_callback(compressor.aclose)
        yield Platform(
            settings=settings,
            clock=base.clock,
            prompts=base.prompts,
            store=base.store,
            live=base.live,
            engine=base.engine,
            compressor=compressor,
            tools=tools,
        )
