"""What the `cluster` commands do: a local Ray or an existing one, the applications on it, and what is said of both.

Owns: which Ray is meant, waiting for the applications, the lines that an operator reads. Refuses to know: arguments
(`cli.cluster`), what the applications are (`cluster.configuration`). A local Ray is noted under the data directory, so
that later commands find it, and nobody else's Ray is ever ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import click

from literesearcher.cli.storage import prepare_data_dir
from literesearcher.cluster import local_ray
from literesearcher.cluster.configuration import DEPLOYMENTS, ENGINE, engine_gpus, serve_configuration
from literesearcher.cluster.release import require_ray
from literesearcher.cluster.serving import Running, ServeOperator, connected
from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.settings.environment import secret_environment
from literesearcher.settings.model import Settings
from literesearcher.settings.names import PREFIX, PUBLISHED
from literesearcher.timing.clock import Clock

T = TypeVar("T")

LOOK_SECONDS = 0.5
SAY_SECONDS = 15.0
"""How often a wait says what it waits for."""
CPUS = 16
"""What a local Ray is told that it has, at least: replicas of one machine are not to wait for cores."""


def note_of(settings: Settings) -> Path:
    """Where a local Ray is noted."""
    return settings.data_dir / "cluster" / "ray.json"


async def up(settings: Settings, clock: Clock) -> int:
    """Start what is missing, give it the configuration, wait until all is healthy."""
    require_ray()
    configuration = serve_configuration(settings)
    prepare_data_dir(settings)
    note, started = note_of(settings), None
    if settings.cluster.address is None and local_ray.find(note) is None:
        started = await local_ray.start(
            note,
            _replica_environment(settings),
            cpus=max(CPUS, os.cpu_count() or 1),
            gpus=settings.cluster.gpus_per_node,
            clock=clock,
        )
        click.echo(f"Ray on this machine, at {started.address}")
    try:
        async with _operator(settings) as operator:
            await _blocking(_refuse_impossible, settings, operator)
            await _blocking(operator.apply, configuration)
            return await _until_healthy(operator, [one["name"] for one in configuration["applications"]], clock)
    except ConfigurationError:
        if started is not None:
            await asyncio.to_thread(local_ray.end, note, started)
        raise


async def status(settings: Settings) -> int:
    """A line each application, replica and proxy. Exit code 1 where something is not as it should be."""
    async with _operator(settings) as operator:
        applications = await _blocking(operator.running)
        for application in applications:
            _say(application)
            for one in application.replicas:
                place = f"pid {one.pid} on {one.node_ip}" if one.pid else "no process"
                click.echo(f"  {one.name} {one.state.lower()}, {place}")
        for ip, state, _ in await _blocking(operator.proxies):
            click.echo(f"HTTP proxy on {ip} {state.lower()}")
    if not applications:
        click.echo("no applications")
    return 0 if applications and all(one.healthy for one in applications) else 1


async def down(settings: Settings) -> int:
    """End the applications, and the local Ray if there is one."""
    note = note_of(settings)
    ray = local_ray.find(note)
    if settings.cluster.address is None and ray is None:
        click.echo("nothing of ours runs here")
        return 0
    try:
        async with _operator(settings) as operator:
            await _blocking(operator.shut_down)
    except BoundaryError as error:
        # One that answers nobody is ended all the same, if it is ours.
        if settings.cluster.address is not None or ray is None:
            raise
        click.echo(f"{error.message}: its processes are ended", err=True)
    click.echo("applications ended")
    if settings.cluster.address is None and ray is not None:
        await asyncio.to_thread(local_ray.end, note, ray)
        click.echo("Ray ended")
    return 0


async def drain(settings: Settings, node: str | None, clock: Clock) -> int:
    """Take a node out of use, and wait until no replica is on it. Exit code 1 where one is at the drain's bound."""
    async with _operator(settings) as operator:
        nodes = await _blocking(operator.nodes)
        chosen = [one for one in nodes if node in (one.id, one.ip)] if node else nodes[:1]
        if not chosen:
            raise ConfigurationError(f"there is no node {node}: " + ", ".join(f"{one.ip} ({one.id})" for one in nodes))
        if node is None and len(nodes) > 1:
            raise ConfigurationError("name the node: " + ", ".join(f"{one.ip} ({one.id})" for one in nodes))
        until = clock.now() + timedelta(seconds=settings.cluster.drain_seconds)
        for application in await _blocking(operator.running):
            here = {one.deployment for one in application.replicas if one.node == chosen[0].id}
            if DEPLOYMENTS[ENGINE] in here:
                await _blocking(operator.leave, application.name, DEPLOYMENTS[ENGINE], chosen[0].id)
        await _blocking(operator.drain, chosen[0].id, until)
        while True:
            left = [
                replica
                for application in await _blocking(operator.running)
                for replica in application.replicas
                if replica.node == chosen[0].id
            ]
            if not left:
                click.echo(f"{chosen[0].ip} is drained")
                return 0
            if clock.now() >= until:
                click.echo(f"{len(left)} replicas are still on {chosen[0].ip}", err=True)
                return 1
            await clock.sleep(LOOK_SECONDS)


@contextlib.asynccontextmanager
async def _operator(settings: Settings) -> AsyncIterator[ServeOperator]:
    address = settings.cluster.address
    if address is None:
        require_ray()
        ray = local_ray.find(note_of(settings))
        if ray is None:
            raise ConfigurationError(
                "no local Ray runs: `literesearcher cluster up` starts one, and LITERESEARCHER_CLUSTER__ADDRESS names "
                "another"
            )
        # Ray reads them when it is imported.
        os.environ.update(ray.environment)
        address = ray.address
    with contextlib.ExitStack() as stack:
        yield await _blocking(stack.enter_context, connected(address))


def _replica_environment(settings: Settings) -> dict[str, str]:
    """This process's, with secrets by our names, and without other settings: those come with each application."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX) and name not in PUBLISHED}
    return kept | secret_environment(settings)


def _refuse_impossible(settings: Settings, operator: ServeOperator) -> None:
    """More GPUs than any node has, where no setting says that greater nodes will come."""
    wanted = engine_gpus(settings)
    has = max((node.gpus for node in operator.nodes()), default=0)
    if wanted > has and settings.cluster.gpus_per_node is None:
        raise ConfigurationError(
            f"one engine replica needs {wanted} GPUs of one node, and no node has more than {has}: lower "
            "LITERESEARCHER_SGLANG__TENSOR_PARALLEL, or set LITERESEARCHER_CLUSTER__GPUS_PER_NODE where greater nodes "
            "come when they are needed"
        )


async def _until_healthy(operator: ServeOperator, names: list[str], clock: Clock) -> int:
    said: set[str] = set()
    spoken = clock.monotonic()
    while True:
        found = {one.name: one for one in await _blocking(operator.running)}
        for name in names:
            one = found.get(name)
            if one is not None and name not in said and (one.healthy or one.state == "DEPLOY_FAILED"):
                said.add(name)
                _say(one)
        if said >= set(names):
            return 0 if all(found[name].healthy for name in names) else 1
        if clock.monotonic() - spoken > SAY_SECONDS:
            spoken = clock.monotonic()
            for name in sorted(set(names) - said):
                if name in found:
                    _say(found[name], err=True)
        await clock.sleep(LOOK_SECONDS)


def _say(one: Running, *, err: bool = False) -> None:
    runs = sum(replica.state == "RUNNING" for replica in one.replicas)
    state = "healthy" if one.healthy else one.state.lower().replace("_", " ")
    blocked = f": {one.blocked}" if one.blocked and not one.healthy else ""
    click.echo(f"{one.name} {state}, {runs} of {one.wanted} replicas{blocked}", err=err)


async def _blocking(call: Callable[..., T], *arguments: object) -> T:
    """Ray's interface blocks; signals are still heard in the meantime."""
    return await asyncio.to_thread(call, *arguments)
