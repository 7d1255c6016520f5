"""Runs an ASGI application on a socket until it is told to stop: the one way a server of this program is run.

Owns: binding (and saying why it cannot), the server's limits, and a stop that ends long answers within seconds.
Prints nothing, installs no signal handlers: the command does both. Refuses to know: which application it is. An
application with long answers keeps an `asyncio.Event` at `app.state.closing` and ends them once it is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from literesearcher.errors import ConfigurationError
from literesearcher.gateway.request_heads import timed_heads

_KEEP_ALIVE_SECONDS = 75
"""Longer than the idle time of usual proxies and client pools, so that they close first."""
_BACKLOG = 2048
HEAD_SECONDS = 20.0
"""From a connection's opening to the end of its first request's head; a client that is slower is let go."""
_HEAD_BYTES = 16 * 1024
"""Request line and headers together that are always taken; the HTTP library refuses a longer head with 400 unless it
came in one piece."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say when connections are taken."""
        await super().startup(sockets=sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's."""
        yield


async def serve(
    app: Any,
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    ready: Callable[[int], None] | None = None,
    setting: str = "LITERESEARCHER_GATEWAY__PORT",
    grace_seconds: float = 5.0,
    head_seconds: float = HEAD_SECONDS,
) -> None:
    """Serve until `stop` is set, then let running answers end for `grace_seconds` at most.

    `ready` gets the port once connections are taken (the one that was found, where `port` is 0). ConfigurationError
    names the port and `setting` where the address cannot be had.
    """
    sockets = _bind(host, port, setting)
    # Without a handler of its own, Python would print the server's warnings on stderr.
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        http=timed_heads(head_seconds),
        h11_max_incomplete_event_size=_HEAD_BYTES,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(grace_seconds)),
    )
    bound_port = sockets[0].getsockname()[1]
    server = _Server(config, lambda: ready(bound_port) if ready is not None else None)
    serving = asyncio.ensure_future(server.serve(sockets=sockets))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        closing = getattr(getattr(app, "state", None), "closing", None)
        if closing is not None:
            closing.set()
        server.should_exit = True
        try:
            await serving
        finally:
            for bound in sockets:
                bound.close()


def _bind(host: str, port: int, setting: str) -> list[socket.socket]:
    """Sockets on every address of `host`, all on one port."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            taken = sockets[0].getsockname()[1] if sockets else port
            bound = socket.socket(family, kind, protocol)
            sockets.append(bound)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((address[0], taken, *address[2:]))
            bound.listen(_BACKLOG)
            bound.setblocking(False)
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise ConfigurationError(_refusal(host, port, setting, error), code="address_unavailable") from None
    return sockets


def _refusal(host: str, port: int, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop what runs there, or set {setting} to another port"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} is not for this user: set {setting} to a port above 1023"
    return f"cannot listen on {host} port {port}: {error.strerror or error}; set {setting.rpartition('__')[0]}__HOST"
