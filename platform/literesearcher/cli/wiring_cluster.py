"""The three Serve applications put together: what stands behind each port in the replicas of a cluster.

Owns: which class each replica holds, and its settings: those of its application's arguments over those of its node's
environment (the secrets). Refuses to know: replica counts and resources (`cluster.configuration`), what the parts do.
Loaded by Ray's processes only; each factory imports what its own application needs.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from literesearcher.cluster.configuration import ENGINE, TOOLS
from literesearcher.engine.port import Engine
from literesearcher.settings.load import load_settings
from literesearcher.settings.model import Settings
from literesearcher.timing.clock import SystemClock

if TYPE_CHECKING:
    from literesearcher.cluster.engine_http import EngineHttp
    from literesearcher.cluster.orchestrator_app import OpenedOrchestrator
    from literesearcher.cluster.serve_engine import ServeEngine
    from literesearcher.cluster.tools_app import OpenedTools

Given = Mapping[str, str]
"""Settings by environment name, as the configuration gives them."""


def engine(args: Mapping[str, Any]) -> Any:
    """The application `engine`, as Serve's import path names it; so the others."""
    from literesearcher.cluster.applications import engine_application

    given = dict(args["settings"])
    return engine_application(partial(make_replica_engine, given), partial(replica_face, given))


def tools(args: Mapping[str, Any]) -> Any:
    """The application `tools`."""
    from literesearcher.cluster.applications import tools_application

    return tools_application(partial(open_replica_tools, dict(args["settings"])))


def orchestrator(args: Mapping[str, Any]) -> Any:
    """The application `orchestrator`."""
    from literesearcher.cluster.applications import orchestrator_application

    return orchestrator_application(partial(open_replica_orchestrator, dict(args["settings"])))


def make_replica_engine(given: Given) -> Engine:
    """The runtime of one engine replica."""
    from literesearcher.cli.wiring_engine import main_engine
    from literesearcher.cluster.ray_metrics import ray_metric
    from literesearcher.telemetry.start_metrics import StartMetrics

    settings = replica_settings(given)
    on_phase = StartMetrics(ray_metric).ended if settings.engine_kind == "sglang" else None
    return main_engine(settings, SystemClock(), on_phase=on_phase)


def replica_face(given: Given, engine: Engine) -> EngineHttp:
    """The HTTP face of an engine replica; callers need CLUSTER__TOKEN, which is in the environment of the node."""
    from literesearcher.cli.wiring_raw_model import raw_model
    from literesearcher.cluster.engine_http import EngineHttp

    settings = replica_settings(given)
    token = settings.cluster.token
    return EngineHttp(
        engine,
        raw_model(settings, engine, SystemClock()),
        token.get_secret_value() if token is not None else None,
    )


@asynccontextmanager
async def open_replica_tools(given: Given) -> AsyncIterator[OpenedTools]:
    """The tool proxy of one replica. It reads pages with the pool of engines, or as EXTRACTOR says."""
    from literesearcher.cli.prompt_files import read_prompts
    from literesearcher.cli.wiring_tools import open_tools
    from literesearcher.cluster.tools_app import OpenedTools
    from literesearcher.telemetry.provider_headroom import ProviderHeadroom
    from literesearcher.telemetry.tool_metrics import ToolMetrics

    settings = replica_settings(given)
    async with AsyncExitStack() as stack:
        clock, metrics = SystemClock(), ToolMetrics()
        tools = await open_tools(
            settings, engine=pool(settings), prompts=read_prompts(settings), clock=clock, stack=stack, metrics=metrics
        )
        yield OpenedTools(tools, ProviderHeadroom(metrics, clock))


@asynccontextmanager
async def open_replica_orchestrator(given: Given) -> AsyncIterator[OpenedOrchestrator]:
    """The worker of one replica, over the handles of the other applications; it takes jobs as the KV pools bear."""
    from literesearcher.cli.storage import open_live, open_settings_store, prepare_data_dir
    from literesearcher.cli.wiring import worker_id
    from literesearcher.cli.wiring_engine import compressing_engine
    from literesearcher.cluster.admission.engine_admission import EngineAdmission
    from literesearcher.cluster.applications import handle_of
    from literesearcher.cluster.orchestrator_app import OpenedOrchestrator
    from literesearcher.cluster.placement_watch import PlacementWatch
    from literesearcher.cluster.ray_metrics import ray_gauge
    from literesearcher.cluster.serve_tools import ServeTools
    from literesearcher.cluster.serving import ServeOperator
    from literesearcher.cluster.surroundings import Surroundings
    from literesearcher.orchestrator.worker import Orchestrator
    from literesearcher.telemetry.placement_metrics import WAITING

    settings = replica_settings(given)
    prepare_data_dir(settings)
    async with AsyncExitStack() as stack:
        store = await open_settings_store(settings)
        stack.push_async_callback(store.aclose)
        live = open_live(settings)
        stack.push_async_callback(live.aclose)
        engine, clock = pool(settings), SystemClock()
        compressor = compressing_engine(settings, clock)
        if compressor is not None:
            stack.push_async_callback(compressor.aclose)
        placement = PlacementWatch(ServeOperator("auto").details, ray_gauge(WAITING), clock)
        await stack.enter_async_context(placement.watching())
        surroundings = Surroundings(backlog=store.backlog, exchange=engine.exchange, clock=clock)
        admission = EngineAdmission(surroundings.loads, most=settings.research.max_concurrent_jobs, clock=clock)
        worker = Orchestrator(
            store=store,
            live=live,
            engine=engine,
            compressor=compressor,
            tools=ServeTools(handle_of(TOOLS)),
            orchestrator=settings.orchestrator,
            research=settings.research,
            engine_section=settings.engine,
            clock=clock,
            worker_id=worker_id(),
            attempt_settings={"tools": "ray serve", "endpoint": settings.engine.endpoint},
            budgets=settings.budgets,
            weights=settings.admission.weights,
            repeats=settings.tools.repeats,
            admission=admission,
        )
        yield OpenedOrchestrator(worker, surroundings, admission)


def replica_settings(given: Given) -> Settings:
    """What the configuration gives, over the environment of the node."""
    return load_settings({**os.environ, **given}, dotenv=None)


def pool(settings: Settings) -> ServeEngine:
    """The application `engine`, for the other two."""
    from literesearcher.cluster.applications import handle_of
    from literesearcher.cluster.ray_metrics import ray_metric
    from literesearcher.cluster.serve_engine import ServeEngine
    from literesearcher.engine.tokenizer import Tokenizer
    from literesearcher.telemetry.router_metrics import MOVED

    file = settings.engine.tokenizer_file
    if file is None and settings.engine_kind == "sglang" and settings.model_folder is not None:
        beside = settings.model_folder / "tokenizer.json"
        file = beside if beside.is_file() else None
    moved = ray_metric(MOVED)
    return ServeEngine(
        handle_of(ENGINE),
        tokenizer=Tokenizer.from_file(file) if file else None,
        on_moved=lambda reason: moved(1, reason),
    )
