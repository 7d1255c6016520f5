"""`cluster up`: a Ray where there is none, the configuration on it, and the wait until all is healthy.

Owns: what a local Ray is started with, what is refused before anything is deployed, when the wait ends and what is said
meanwhile. Refuses to know: arguments (`cli.cluster`), what the applications are (`cluster.configuration`), Ray
(`cluster.serving`). Neighbour: `cli.cluster_connection`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from importlib import metadata
from typing import Any

import click

from literesearcher.cli.cluster_connection import LEAVE_SECONDS, Asking, note_of, operator_of, say
from literesearcher.cli.node_check import CHECK_SECONDS, engine_refusal
from literesearcher.cli.storage import prepare_data_dir
from literesearcher.cluster import local_ray
from literesearcher.cluster.configuration import DEPLOYMENTS, ENGINE, engine_gpus, serve_configuration
from literesearcher.cluster.local_ray import LocalRay
from literesearcher.cluster.release import require_ray
from literesearcher.cluster.serving import ServeOperator
from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.settings.environment import secret_environment
from literesearcher.settings.model import Settings
from literesearcher.settings.names import PREFIX, PUBLISHED
from literesearcher.timing.clock import Clock

ASK_SECONDS = CHECK_SECONDS + 60.0
LOOK_SECONDS = 0.5
SAY_SECONDS = 15.0
"""How often the wait says what it waits for."""
CPUS = 16
"""What a local Ray is told that it has, at least: replicas of one machine are not to wait for cores."""


async def up(settings: Settings, clock: Clock, *, patience: float) -> int:
    """Start what is missing, give it the configuration, wait until all is healthy. Exit code 1 where it is not after
    `patience` seconds; ConfigurationError where a replica said that its settings are wrong."""
    require_ray()
    configuration = serve_configuration(settings)
    prepare_data_dir(settings)
    started = await _local(settings, clock) if settings.cluster.address is None else None
    names = [one["name"] for one in configuration["applications"]]
    try:
        async with operator_of(settings) as ask:
            await _refuse_impossible(settings, ask, configuration)
            await ask(lambda serve: serve.apply(configuration))
            return await _until_healthy(ask, names, clock, patience, lambda: _still_there(settings))
    except (ConfigurationError, asyncio.CancelledError):
        # What could not be, or was not to be: nothing half done stays behind.
        if started is not None:
            local_ray.end(note_of(settings), started)
        raise


async def _local(settings: Settings, clock: Clock) -> LocalRay | None:
    """A Ray of this machine that takes drivers; given where it was started here."""
    note = note_of(settings)
    async with local_ray.alone(note, clock):
        if (ray := local_ray.find(note)) is not None:
            # Whoever started it may have died before it was up.
            await local_ray.ready(ray, clock)
            return None
        local_ray.clear(note)
        started = await local_ray.start(
            note,
            _replica_environment(settings),
            cpus=max(CPUS, os.cpu_count() or 1),
            gpus=settings.cluster.gpus_per_node,
            clock=clock,
        )
    click.echo(f"Ray on this machine, at {started.address}")
    return started


def _replica_environment(settings: Settings) -> dict[str, str]:
    """This process's, with secrets by our names, and without other settings: those come with each application."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX) and name not in PUBLISHED}
    return kept | secret_environment(settings)


async def _refuse_impossible(settings: Settings, ask: Asking, configuration: dict[str, Any]) -> None:
    """What the nodes that are there say of the settings. ConfigurationError in a sentence."""
    others = {one.name for one in await ask(ServeOperator.running)} - set(DEPLOYMENTS)
    if others:
        raise ConfigurationError(
            f"Serve runs other applications there ({', '.join(sorted(others))}), and would end them: end them first, "
            "or use a Ray of our own"
        )
    nodes, wanted = await ask(ServeOperator.nodes), engine_gpus(settings)
    has = max((node.gpus for node in nodes), default=0)
    if wanted > has and settings.cluster.gpus_per_node is None:
        gpus = "1 GPU" if wanted == 1 else f"{wanted} GPUs of one node"
        here = (
            f"no node has more than {has}: lower LITERESEARCHER_SGLANG__TENSOR_PARALLEL, or"
            if has
            else "there is none:"
        )
        raise ConfigurationError(
            f"one engine replica needs {gpus}, and {here} set LITERESEARCHER_CLUSTER__GPUS_PER_NODE where nodes with "
            "more come when they are needed"
        )
    [given] = [one["args"]["settings"] for one in configuration["applications"] if one["name"] == ENGINE]
    python = settings.cluster.engine_python
    can = [node for node in nodes if node.gpus >= wanted]
    version = metadata.version("literesearcher")
    said = await ask(
        lambda serve: serve.ask(ASK_SECONDS, can, engine_refusal, given, str(python) if python else None, version),
        seconds=ASK_SECONDS + LEAVE_SECONDS,
    )
    for node, refusal in zip(can, said, strict=True):
        if refusal:
            raise ConfigurationError(f"{refusal} (node {node.ip})")


def _still_there(settings: Settings) -> bool:
    """A local Ray that was ended needs no time-out to be missed."""
    return settings.cluster.address is not None or local_ray.find(note_of(settings)) is not None


async def _until_healthy(
    ask: Asking, names: list[str], clock: Clock, patience: float, there: Callable[[], bool]
) -> int:
    said: set[str] = set()
    seen: set[str] = set()
    began = spoken = clock.monotonic()
    while True:
        if not there():
            raise BoundaryError("Ray was ended while the applications started", code="ray_unreachable")
        found = {one.name: one for one in await ask(ServeOperator.running) if one.name in names}
        if seen - set(found):
            raise BoundaryError("the applications were ended while they started", code="cluster_start")
        seen |= set(found)
        for name, one in found.items():
            if name not in said and (one.healthy or one.state == "DEPLOY_FAILED"):
                said.add(name)
                if not one.refused:
                    say(one)
        if said >= set(names):
            refused = [f"{name} cannot start: {one.refused}" for name, one in found.items() if one.refused]
            if refused:
                raise ConfigurationError("; ".join(refused))
            return 0 if all(one.healthy for one in found.values()) else 1
        late = clock.monotonic() - began > patience
        if late or clock.monotonic() - spoken > SAY_SECONDS:
            spoken = clock.monotonic()
            for name in sorted(set(found) - said):
                say(found[name], err=True)
        if late:
            click.echo(f"not healthy after {patience:g} s; what runs is left as it is", err=True)
            return 1
        await clock.sleep(LOOK_SECONDS)
