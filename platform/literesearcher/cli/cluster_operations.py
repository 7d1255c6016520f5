"""`cluster status`, `down` and `drain`: what runs, ending it, taking a node out of use.

Owns: the lines that an operator reads, when each command is done, and that nobody else's Ray is ever ended. Refuses to
know: arguments (`cli.cluster`), Ray (`cluster.serving`). Neighbours: `cli.cluster_connection`, `cli.cluster_start`.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import click

from literesearcher.cli.cluster_connection import ANSWER_SECONDS, note_of, operator_of, say
from literesearcher.cluster import local_ray
from literesearcher.cluster.configuration import DEPLOYMENTS, ENGINE
from literesearcher.cluster.serving import ServeOperator
from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.settings.model import Settings
from literesearcher.timing.clock import Clock

LOOK_SECONDS = 0.5


async def status(settings: Settings, clock: Clock) -> int:
    """A line each application, replica, proxy and node. Exit code 1 where something is not as it should be."""
    async with operator_of(settings) as ask:
        applications = await ask(ServeOperator.running)
        for application in applications:
            say(application)
            if sign := await ask(partial(ServeOperator.sign, application=application.name, now=clock.now())):
                click.echo(f"  {sign}")
            for one in application.replicas:
                place = f"pid {one.pid} on {one.node_ip}" if one.pid else "no process"
                click.echo(f"  {one.name} {one.state.lower()}, {place}")
        for ip, state, _ in await ask(ServeOperator.proxies):
            click.echo(f"HTTP proxy on {ip} {state.lower()}")
        for node in await ask(ServeOperator.nodes):
            click.echo(f"metrics of {node.ip} on {node.metrics}")
    if not applications:
        click.echo("no applications")
    return 0 if applications and all(one.healthy for one in applications) else 1


async def down(settings: Settings, clock: Clock) -> int:
    """End the applications, and the local Ray if there is one."""
    if settings.cluster.address is not None:
        async with operator_of(settings) as ask:
            await ask(lambda serve: serve.shut_down(tuple(DEPLOYMENTS)), seconds=_drain_bound(settings))
        click.echo("applications ended")
        return 0
    note = note_of(settings)
    async with local_ray.alone(note, clock):
        if (ray := local_ray.find(note)) is None:
            if local_ray.clear(note):
                click.echo("what a Ray that was killed had left is ended")
            else:
                click.echo("nothing of ours runs here")
            return 0
        try:
            async with operator_of(settings) as ask:
                await ask(lambda serve: serve.shut_down(tuple(DEPLOYMENTS)), seconds=_drain_bound(settings))
            click.echo("applications ended")
        except BoundaryError as error:
            # One that answers nobody is ended all the same, since it is ours.
            click.echo(f"{error.message}: its processes are ended", err=True)
        local_ray.end(note, ray)
    click.echo("Ray ended")
    return 0


async def drain(settings: Settings, node: str | None, clock: Clock) -> int:
    """Take a node out of use, and wait until no replica is on it. Exit code 1 where one is at the drain's bound."""
    async with operator_of(settings) as ask:
        nodes = await ask(ServeOperator.nodes)
        chosen = [one for one in nodes if node in (one.id, one.ip)] if node else nodes[:1]
        if not chosen:
            raise ConfigurationError(f"there is no node {node}: " + ", ".join(f"{one.ip} ({one.id})" for one in nodes))
        if node is None and len(nodes) > 1:
            raise ConfigurationError("name the node: " + ", ".join(f"{one.ip} ({one.id})" for one in nodes))
        until = clock.now() + timedelta(seconds=settings.cluster.drain_seconds)
        for application in await ask(ServeOperator.running):
            here = {one.deployment for one in application.replicas if one.node == chosen[0].id}
            if DEPLOYMENTS[ENGINE] in here:
                await ask(
                    partial(
                        ServeOperator.leave,
                        application=application.name,
                        deployment=DEPLOYMENTS[ENGINE],
                        node=chosen[0].id,
                    )
                )
        await ask(lambda serve: serve.drain(chosen[0].id, until))
        if len(nodes) == 1:
            click.echo(f"{chosen[0].ip} is the only node: what runs there ends, and nothing takes over", err=True)
        told = False
        while True:
            left = [
                replica
                for application in await ask(ServeOperator.running)
                for replica in application.replicas
                if replica.node == chosen[0].id
            ]
            if not left:
                click.echo(f"{chosen[0].ip} is drained")
                return 0
            if not told:
                bound = settings.cluster.drain_seconds
                click.echo(
                    f"waiting for the replicas on {chosen[0].ip} to end ({len(left)}), {bound:.0f} s at most", err=True
                )
                told = True
            if clock.now() >= until:
                click.echo(f"{len(left)} replicas are still on {chosen[0].ip}", err=True)
                return 1
            await clock.sleep(LOOK_SECONDS)


def _drain_bound(settings: Settings) -> float:
    """Serve ends replicas after their drain; this is for one that does not answer at all."""
    return settings.cluster.drain_seconds + ANSWER_SECONDS
