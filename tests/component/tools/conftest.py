"""Servers on loopback that act as the providers and as the web, and a guard that lets tests reach them; the proxy's own
service on a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
import uvicorn
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from literesearcher.timing.clock import SystemClock
from literesearcher.tools.perimeter.addresses import Address, is_public
from literesearcher.tools.perimeter.guard import Guard
from literesearcher.tools.providers.wire import Wire
from literesearcher.tools.service.app import create_app

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Stub:
    """One server whose answer to everything is set by the test; keeps what it was asked."""

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        app = web.Application(client_max_size=10_000_000)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        assert self.handler is not None
        return await self.handler(request)

    def gives(self, *responses: Callable[[], web.StreamResponse]) -> None:
        """Answer with these in order; the last is repeated."""
        left = list(responses)

        async def handler(request: web.Request) -> web.StreamResponse:
            make = left.pop(0) if len(left) > 1 else left[0]
            return make()

        self.handler = handler

    @property
    def url(self) -> str:
        """Base URL without a slash at its end."""
        return f"http://127.0.0.1:{self.server.port}"


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    await stub.server.start_server()
    yield stub
    await stub.server.close()


@pytest.fixture
async def other_stub() -> AsyncIterator[Stub]:
    stub = Stub()
    await stub.server.start_server()
    yield stub
    await stub.server.close()


class TestWeb:
    """A made-up DNS: `site.example.com` is this machine, which only this guard calls public."""

    __test__ = False

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {"site.example.com": [["127.0.0.1"]]}
        self.asked: list[str] = []
        self.allow_loopback = True

    async def resolve(self, host: str) -> list[str]:
        """The next answer for the name; the last is repeated."""
        self.asked.append(host)
        answers = self.names.get(host)
        if not answers:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def allowed(self, address: Address) -> bool:
        """The real rule, but 127.0.0.1 counts as a public address; 127.0.0.2 does not."""
        return is_public(address) or (self.allow_loopback and str(address) == "127.0.0.1")


@pytest.fixture
def dns() -> TestWeb:
    return TestWeb()


@pytest.fixture
def guard(dns) -> Guard:
    return Guard(resolve=dns.resolve, address_allowed=dns.allowed)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    wire = Wire(clock=SystemClock())
    yield wire
    await wire.aclose()
    await wire.aclose()


@asynccontextmanager
async def _serving(tools, token=None, **wishes):
    listening = socket.create_server(("127.0.0.1", 0))
    app = create_app(tools, token=SecretStr(token) if token else None, **wishes)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", proxy_headers=False))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{listening.getsockname()[1]}") as session:
            yield session
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def serving():
    """`serving(tools, token, ...)`: a client session of a proxy's service on a real socket, as a context."""
    return _serving
