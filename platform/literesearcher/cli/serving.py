"""Runs a server and a worker side by side until SIGTERM or Ctrl-C, then drains both.

Owns: signals, and that the end of one part ends the program. Refuses to know: sockets (`gateway.serving`), what is
served. A second signal leaves at once; unfinished jobs are taken over when their leases run out.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import ip_address

import click

from literesearcher.cli.session import on_signals

Part = Callable[[asyncio.Event], Awaitable[None]]
"""Serves until the event is set, then drains."""


def address(host: str, port: int) -> str:
    """`http://HOST:PORT` as one would type it."""
    try:
        shown = f"[{host}]" if ip_address(host).version == 6 else host
    except ValueError:
        shown = host
    return f"http://{shown}:{port}"


async def serve_until_stopped(
    parts: Sequence[Part], *, stopping_line: str = "stopping: running jobs finish their step and go on later"
) -> int:
    """Run all parts until a signal, or until one of them ends; its error is raised. The exit code after a drain: 0."""
    stop = asyncio.Event()

    def stopping(number: int) -> None:
        if stop.is_set():
            click.echo("second signal: leaving at once", err=True)
            os._exit(128 + number)
        click.echo(stopping_line, err=True)
        stop.set()

    with on_signals({number: partial(stopping, number) for number in (signal.SIGTERM, signal.SIGINT)}):
        running = [asyncio.ensure_future(part(stop)) for part in parts]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            await asyncio.wait(running)
        finally:
            for task in running:
                task.cancel()
            ended = await asyncio.gather(*running, return_exceptions=True)
    for error in ended:
        if isinstance(error, BaseException):
            raise error
    return 0
