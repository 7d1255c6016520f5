"""Which Ray the `cluster` commands mean, and how they ask it.

Owns: the note of a local Ray, the environment that lets this process in, calls that end in bounded time though Ray's
interface blocks, the line that an operator reads of an application. Refuses to know: what the commands do with it
(`cli.cluster_start`, `cli.cluster_operations`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import click

from literesearcher.cluster import local_ray
from literesearcher.cluster.reachability import find_ray
from literesearcher.cluster.release import require_ray
from literesearcher.cluster.serving import Running, ServeOperator, connected
from literesearcher.errors import BoundaryError, ConfigurationError, LiteResearcherError
from literesearcher.settings.model import Settings

T = TypeVar("T")

ANSWER_SECONDS = 180.0
LEAVE_SECONDS = 15.0
_UNLESS_TOLD = 'read -r _ || echo "$1" >&2'
PROBE_SECONDS = 5.0
MISSES = 3
"""Probes without an answer after which a Ray has gone: a head that comes back in between is not missed."""


def note_of(settings: Settings) -> Path:
    """Where a local Ray is noted."""
    return settings.data_dir / "cluster" / "ray.json"


class Asking:
    """`await ask(lambda serve: serve.running())`: a blocking call to Serve. BoundaryError `ray_unreachable` soon after
    Ray has gone, where Ray's own interface would wait, and then end this process."""

    def __init__(self, operator: ServeOperator, address: str) -> None:
        self._operator = operator
        self._address = address

    async def __call__(self, call: Callable[[ServeOperator], T], *, seconds: float = ANSWER_SECONDS) -> T:
        """What the call gives within so long."""
        answer = asyncio.ensure_future(answered(call, self._operator, seconds=seconds))
        missed = 0
        try:
            while not (await asyncio.wait([answer], timeout=PROBE_SECONDS))[0]:
                try:
                    await answered(find_ray, self._address)
                    missed = 0
                except BoundaryError as error:
                    missed += 1
                    if missed == MISSES:
                        raise BoundaryError(
                            f"Ray at {self._address} does not answer any more", code="ray_unreachable"
                        ) from error
            return answer.result()
        finally:
            answer.cancel()


@contextlib.asynccontextmanager
async def operator_of(settings: Settings) -> AsyncIterator[Asking]:
    """Serve on the Ray that is meant. ConfigurationError where none is; else raises as `serving.connected`."""
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
    with _told_of_a_loss(address):
        connection = connected(address)
        operator = await answered(connection.__enter__)
        try:
            yield Asking(operator, address)
        finally:
            with contextlib.suppress(BoundaryError):
                await answered(connection.__exit__, None, None, None, seconds=LEAVE_SECONDS)


@contextlib.contextmanager
def _told_of_a_loss(address: str) -> Iterator[None]:
    """Ray ends a process of its own without a word when the node's daemon dies: another process says why."""
    message = f"literesearcher: ended before it was done: Ray at {address} has gone, or this command was killed"
    with subprocess.Popen(["/bin/sh", "-c", _UNLESS_TOLD, "sh", message], stdin=subprocess.PIPE) as teller:
        assert teller.stdin is not None
        try:
            yield
        finally:
            with contextlib.suppress(BrokenPipeError):
                teller.stdin.write(b"\n")
                teller.stdin.flush()


async def answered(call: Callable[..., T], *arguments: object, seconds: float = ANSWER_SECONDS) -> T:
    """What a blocking call gives. BoundaryError `ray_unreachable` after so long; nothing waits for its thread."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(put: Callable[[], None]) -> None:
        # The loop may be gone by then.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if answer.done() else put())

    def run() -> None:
        error: LiteResearcherError = BoundaryError("the call to Ray broke: its traceback is above", code="ray_broken")
        try:
            value = call(*arguments)
            settle(lambda: answer.set_result(value))
            return
        except LiteResearcherError as known:
            error = known
        finally:
            settle(lambda: answer.set_exception(error))

    threading.Thread(target=run, daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        raise BoundaryError(f"Ray gave no answer within {seconds:.0f} s", code="ray_unreachable") from None


def say(one: Running, *, err: bool = False) -> None:
    """An application's line."""
    runs = sum(replica.state == "RUNNING" for replica in one.replicas)
    state = "healthy" if one.healthy else one.state.lower().replace("_", " ")
    blocked = f": {one.blocked}" if one.blocked and not one.healthy else ""
    click.echo(f"{one.name} {state}, {runs} of {one.wanted} replicas{blocked}", err=err)
