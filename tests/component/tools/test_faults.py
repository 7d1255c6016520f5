"""Whatever a provider, a site or the shared cache does, a tool call ends with a text, and nothing wrong is kept of it.

The whole proxy on a real Redis, over servers that misbehave. Each fault is followed by a healthy answer to the same
question: had anything of the fault been kept, the model would read it again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import orjson
import pytest

from literesearcher.settings.model import Settings
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.passage_extraction import PassageExtractor
from literesearcher.tools.port import Ask, ToolRequest, ToolResult
from literesearcher.tools.proxy import ToolProxy

HANG_SECONDS = 60.0
PAGE = "<html><head><title>T</title></head><body>" + "<p>The wombat digs a long burrow.</p>" * 40 + "</body></html>"
ORGANIC = orjson.dumps({"organic": [{"title": "Wombats", "link": "https://w.example/", "snippet": "dig"}]}).decode()
SEARCH_FAILED = "Google search timeout for query: 'wombats'"
NOT_ACCESSED = "The provided webpage content could not be accessed."


def answer(body: str, kind: str = "text/html", status: str = "200 OK", extra: str = "") -> bytes:
    data = body.encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{extra}\r\n".encode() + data


class Server:
    """Answers every connection as `fault` says; None: as it should."""

    def __init__(self) -> None:
        self.fault: str | None = None
        self.asked = 0
        self._server: asyncio.Server | None = None
        self._held: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._held):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._held.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = next(
                        (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")),
                        0,
                    )
                    await reader.readexactly(length)
                    self.asked += 1
                    if not await self._answer(head, writer):
                        return
        finally:
            self._held.discard(writer)
            writer.transport.abort()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> bool:
        good = answer(ORGANIC, "application/json") if head.startswith(b"POST /search") else answer(PAGE)
        match self.fault:
            case None:
                writer.write(good)
                await writer.drain()
                return True
            case "hangs":
                await asyncio.Event().wait()
            case "half a body":
                writer.write(good[: len(good) // 2])
            case "a length too long":
                writer.write(good.replace(b"Content-Length: ", b"Content-Length: 9"))
            case "a length that is none":
                writer.write(good.replace(b"Content-Length: ", b"Content-Length: -"))
            case "no HTTP":
                writer.write(b"\x16\x03\x01 what is this\r\n\r\n")
            case "nothing":
                return False
            case "a storm of 429":
                writer.write(answer("slow down", status="429 Too Many Requests", extra="Retry-After: 1000\r\n"))
                await writer.drain()
                return True
            case "500":
                writer.write(answer("oops", status="500 Internal Server Error"))
                await writer.drain()
                return True
            case "a spent quota":
                body = '{"message": "Not enough credits", "statusCode": 400}'
                writer.write(answer(body, "application/json", status="400 Bad Request"))
                await writer.drain()
                return True
            case "headers without end":
                writer.write(b"HTTP/1.1 200 OK\r\n")
                while True:
                    writer.write(b"X-More: " + b"a" * 1000 + b"\r\n")
                    await writer.drain()
            case "a body without end":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
                while True:
                    writer.write(b"{" * 65536)
                    await writer.drain()
            case "a byte at a time":
                for byte in good:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.2)
        await writer.drain()
        return False


FAULTS = [
    "hangs",
    "half a body",
    "a length too long",
    "a length that is none",
    "no HTTP",
    "nothing",
    "a storm of 429",
    "500",
    "a spent quota",
    "headers without end",
    "a byte at a time",
]


@dataclass
class World:
    """One proxy, and the server that stands for everything outside."""

    tools: ToolProxy
    server: Server
    seconds: float = 1.5

    async def search(self, tenant: str = "t") -> ToolResult:
        return await self._call("search", {"query": ["wombats"]}, tenant)

    async def visit(self, url: str | None = None, tenant: str = "t") -> ToolResult:
        url = url or f"http://site.example.com:{self.server.port}/page"
        return await self._call("visit", {"url": [url], "goal": "what does the wombat dig?"}, tenant)

    async def _call(self, name: str, arguments: dict[str, object], tenant: str) -> ToolResult:
        async with asyncio.timeout(HANG_SECONDS):
            request = ToolRequest(name, arguments, Ask(tenant_id=tenant, timeout_seconds=self.seconds))
            return await self.tools.call(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def clean_redis(redis_url) -> str:
    """Without what other tests left: a provider's pause is every process's."""
    await _flush(redis_url)
    return redis_url


@pytest.fixture
async def make(server, guard) -> AsyncIterator[Callable[..., World]]:
    made: list[ToolProxy] = []

    def build(redis_url: str | None = None, pages: str = "direct", **tools: object) -> World:
        base = f"http://127.0.0.1:{server.port}"
        section = {"search": ["serper"], "pages": [pages], "redis_url": redis_url, "breaker_seconds": 0.01} | tools
        settings = Settings.model_validate(
            {
                "tools": section,
                "serper": {"api_key": "planted-key", "base_url": base},
                "jina": {"base_url": f"{base}/reader"},
            }
        )
        proxy = assemble(settings, extractor=PassageExtractor(), clock=SystemClock(), guard=guard)
        made.append(proxy)
        return World(proxy, server)

    yield build
    for proxy in made:
        await proxy.aclose()


def good_search(result: ToolResult) -> bool:
    return "1. [Wombats](https://w.example/)" in result.text and result.items[0].ok


def good_page(result: ToolResult) -> bool:
    return "burrow" in result.items[0].text.partition("Evidence in page")[2] and result.items[0].ok


async def until(ask: Callable[[], object], good: Callable[[ToolResult], bool]) -> ToolResult:
    """Ask again until it is well: a breaker or a pause may still stand in the way for a moment."""
    async with asyncio.timeout(HANG_SECONDS):
        while not good(result := await ask()):  # type: ignore[misc]
            await asyncio.sleep(0.05)
        return result


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_search_ends_with_the_trained_text_and_nothing_is_kept(make, server, clean_redis, fault):
    world = make(clean_redis)
    server.fault = fault
    result = await world.search()
    assert result.text == SEARCH_FAILED
    (item,) = result.items
    assert not item.ok
    assert item.status not in (None, "none", "found")
    server.fault = None
    fresh = make(clean_redis)
    assert good_search(await fresh.search() if fault != "a storm of 429" else await make().search())


@pytest.mark.parametrize(
    ("pages", "fault"),
    # A direct page is read up to its bound, and then is a page.
    [*((pages, fault) for pages in ("direct", "jina") for fault in FAULTS), ("jina", "a body without end")],
)
async def test_a_visit_ends_with_the_trained_text_and_nothing_is_kept(make, server, clean_redis, fault, pages):
    world = make(clean_redis, pages=pages)
    server.fault = fault
    result = await world.visit()
    assert NOT_ACCESSED in result.text
    assert not result.items[0].ok
    server.fault = None
    fresh = make(clean_redis, pages=pages)
    assert good_page(await fresh.visit() if fault != "a storm of 429" else await make(pages=pages).visit())


async def test_a_name_that_does_not_resolve_and_a_site_without_its_tls(make, server):
    world = make()
    for url in ("http://nowhere.example.com/x", f"https://site.example.com:{server.port}/x"):
        result = await world.visit(url)
        assert NOT_ACCESSED in result.text
        assert not result.items[0].ok


async def test_redis_killed_frozen_or_flushed_in_mid_call_changes_nothing_the_model_reads(make, server, redis_server):
    world = make(redis_server.url)
    world.seconds = HANG_SECONDS
    for number, harm in enumerate(("flush", "freeze", "kill")):
        server.fault = "hangs"
        asked = server.asked
        task = asyncio.create_task(world.visit(f"http://site.example.com:{server.port}/{number}"))
        async with asyncio.timeout(HANG_SECONDS):
            while server.asked == asked:
                await asyncio.sleep(0.01)
        # The page is under way: the harm falls into the middle of the call.
        if harm == "flush":
            await _flush(redis_server.url)
        elif harm == "freeze":
            redis_server.freeze()
        else:
            redis_server.thaw()
            redis_server.stop()
        server.fault = None
        for writer in list(server._held):
            writer.transport.abort()
        await task
        assert good_page(
            await until(lambda n=number: world.visit(f"http://site.example.com:{server.port}/{n}"), good_page)
        )
        assert good_search(await world.search())
    redis_server.start()
    other = make(redis_server.url)
    await until(world.search, good_search)
    assert good_search(await other.search())


async def _flush(url: str) -> None:
    from redis.asyncio import Redis

    client = Redis.from_url(url)
    await client.flushall()
    await client.aclose()


async def test_many_calls_through_a_storm_all_end(make, server, clean_redis):
    world = make(clean_redis)
    server.fault = "a storm of 429"
    results = await asyncio.gather(
        *(world._call("search", {"query": [f"wombats {n}"]}, f"t{n % 5}") for n in range(60))
    )
    assert {result.items[0].ok for result in results} == {False}
    assert all(result.text.startswith("Google search timeout for query: 'wombats ") for result in results)
    assert server.asked <= 60, "a Retry-After is obeyed: nobody asks twice"


async def test_no_fault_shows_the_key(make, server, caplog):
    world = make()
    for fault in FAULTS:
        server.fault = fault
        world.seconds = 0.4
        result = await world.search()
        assert b"planted-key" not in orjson.dumps(result)
    assert "planted-key" not in caplog.text
