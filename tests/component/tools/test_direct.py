"""Direct fetching against a web server that redirects, bombs, drips and lies."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest
from aiohttp import web

from literesearcher.errors import BoundaryError
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.perimeter.guard import Guard, RefusedTarget
from literesearcher.tools.providers.direct import DirectPages


@pytest.fixture
async def direct(guard):
    reader = PageReader()
    pages = DirectPages(guard=guard, reader=reader, max_bytes=200_000, try_seconds=5)
    yield pages
    await pages.aclose()
    await pages.aclose()
    await reader.aclose()


async def fetch(direct, url, seconds=10.0):
    return await direct.fetch(url, tenant_id="", timeout_seconds=seconds)


def site(stub, path="/", host="site.example.com"):
    return f"http://{host}:{stub.server.port}{path}"


async def test_a_page_is_fetched_from_the_address_that_was_checked(direct, stub, dns):
    stub.gives(lambda: web.Response(text="<title>T</title><h1>Hello</h1>", content_type="text/html"))
    page = await fetch(direct, site(stub, "/a b?q=ä#part"))
    assert page.title == "T"
    assert "# Hello" in page.text
    (request,) = stub.requests
    assert request.host == f"site.example.com:{stub.server.port}"
    assert request.path == "/a b"
    assert "Authorization" not in request.headers
    assert "Cookie" not in request.headers


REDIRECT_TARGETS = [
    "http://127.0.0.2:{port}/",
    "http://localhost:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]:{port}/",
    "http://2130706433:{port}/",
    "//127.0.0.2:{port}/x",
    "http://evil.example.com:{port}/",
    "http://user:pass@site.example.com:{port}/",
    "file:///etc/passwd",
    "gopher://site.example.com:{port}/",
    "http://site.example.com:22/",
    "http://metadata.google.internal/",
    "http://[broken/",
]


@pytest.mark.parametrize("target", REDIRECT_TARGETS)
async def test_a_redirect_to_the_inside_is_refused_before_anything_is_sent(direct, stub, dns, target):
    dns.names["evil.example.com"] = [["127.0.0.2"]]
    location = target.format(port=stub.server.port)
    stub.gives(lambda: web.Response(status=302, headers={"Location": location}))
    with pytest.raises(RefusedTarget):
        await fetch(direct, site(stub))
    assert len(stub.requests) == 1


async def test_redirects_are_followed_by_hand_and_each_hop_is_resolved_anew(direct, stub, dns):
    stub.gives(
        lambda: web.Response(status=301, headers={"Location": "/next"}),
        lambda: web.Response(status=307, headers={"Location": site(stub, "/last", "other.example.com")}),
        lambda: web.Response(text="arrived", content_type="text/plain"),
    )
    dns.names["other.example.com"] = [["127.0.0.1"]]
    assert (await fetch(direct, site(stub))).text == "arrived"
    assert [request.path for request in stub.requests] == ["/", "/next", "/last"]


async def test_endless_redirects_end(direct, stub):
    stub.gives(lambda: web.Response(status=302, headers={"Location": "/again"}))
    with pytest.raises(BoundaryError):
        await fetch(direct, site(stub))
    assert len(stub.requests) == 6


async def test_rebinding_a_name_does_not_help(direct, stub, dns):
    """The first answer is public, every later one is not: what was checked is what is connected to, once."""
    dns.names["rebind.example.com"] = [["127.0.0.1"], ["127.0.0.2"]]
    stub.gives(lambda: web.Response(text="fine", content_type="text/plain", headers={"Connection": "close"}))
    url = site(stub, host="rebind.example.com")
    assert (await fetch(direct, url)).text == "fine"
    assert dns.asked == ["rebind.example.com"]
    with pytest.raises(RefusedTarget):
        await fetch(direct, url)
    assert len(stub.requests) == 1


async def test_a_proxy_named_in_the_environment_is_not_used(direct, stub, other_stub, monkeypatch):
    """It would resolve the name by itself, unchecked."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, other_stub.url)
    other_stub.gives(lambda: web.Response(text="by the proxy"))
    stub.gives(lambda: web.Response(text="from the site"))
    assert (await fetch(direct, site(stub))).text == "from the site"
    assert other_stub.requests == []


async def test_a_name_with_one_inner_address_is_refused_whole(direct, stub, dns):
    dns.names["mixed.example.com"] = [["127.0.0.1", "127.0.0.2"]]
    with pytest.raises(RefusedTarget):
        await fetch(direct, site(stub, host="mixed.example.com"))
    assert stub.requests == []


async def test_the_default_guard_never_reaches_this_machine(stub):
    stub.gives(lambda: web.Response(text="secret"))

    async def resolve(host: str) -> list[str]:
        return ["127.0.0.1"]

    reader = PageReader()
    pages = DirectPages(guard=Guard(resolve=resolve), reader=reader)
    try:
        for url in (stub.url, site(stub), f"http://localhost:{stub.server.port}/"):
            with pytest.raises(RefusedTarget):
                await fetch(pages, url)
    finally:
        await pages.aclose()
        await reader.aclose()
    assert stub.requests == []


async def test_the_connector_checks_even_a_url_that_nobody_checked(guard, stub, dns):
    """Defence in depth: a literal is connected to without resolving, but a name never goes around the guard."""
    import aiohttp

    dns.names["inner.example.com"] = [["127.0.0.2"]]
    async with aiohttp.ClientSession(connector=guard.connector()) as session:
        with pytest.raises(RefusedTarget):
            await session.get(site(stub, host="inner.example.com"))
        with pytest.raises(RefusedTarget):
            await session.get(f"http://localhost:{stub.server.port}/")


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_page_is_read_and_a_bomb_is_cut(direct, stub, encoding, pack):
    small, bomb = pack(b"hello " * 100), pack(b"\x20" * 300_000_000)
    for body, length in ((small, 600), (bomb, 200_000)):
        stub.gives(
            lambda body=body: web.Response(
                body=body, headers={"Content-Encoding": encoding, "Content-Type": "text/plain"}
            )
        )
        assert len((await fetch(direct, site(stub))).text) == length


async def test_raw_deflate_is_read_too(direct, stub):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = packer.compress(b"hello " * 100) + packer.flush()
    headers = {"Content-Encoding": "deflate", "Content-Type": "text/plain"}
    stub.gives(lambda: web.Response(body=body, headers=headers))
    assert (await fetch(direct, site(stub))).text == "hello " * 100


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "nonsense"])
async def test_an_encoding_that_was_not_offered_is_an_error(direct, stub, encoding):
    stub.gives(lambda: web.Response(body=b"xx", headers={"Content-Encoding": encoding, "Content-Type": "text/plain"}))
    with pytest.raises(BoundaryError):
        await fetch(direct, site(stub))


async def test_half_a_gzip_and_junk_called_gzip(direct, stub):
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
    stub.gives(lambda: web.Response(body=b"junk, no gzip", headers=headers))
    with pytest.raises(BoundaryError):
        await fetch(direct, site(stub))


async def test_an_endless_body_is_cut(direct, stub):
    async def endless(request):
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 50_000)

    stub.handler = endless
    assert len((await fetch(direct, site(stub))).text) == 200_000


@pytest.mark.parametrize("head_first", [True, False])
async def test_a_slow_site_is_given_up(direct, stub, head_first):
    async def slow(request):
        if head_first:
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            await response.prepare(request)
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.02)
        await asyncio.Event().wait()

    stub.handler = slow
    with pytest.raises(BoundaryError) as caught:
        await fetch(direct, site(stub), seconds=0.2)
    assert caught.value.code == "page_timeout"


@pytest.mark.parametrize("status", [204, 206, 304, 400, 403, 404, 410, 429, 500, 503])
async def test_other_statuses_are_no_page(direct, stub, status):
    stub.gives(lambda: web.Response(status=status, text="" if status in (204, 304) else "<p>Not here</p>"))
    with pytest.raises(BoundaryError):
        await fetch(direct, site(stub))


async def test_a_picture_is_given_up_after_its_first_bytes(direct, stub):
    sent = 0

    async def film(request):
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        await response.prepare(request)
        while sent < 5_000_000_000:
            await response.write(b"\0" * 50_000)
            sent += 50_000

    stub.handler = film
    with pytest.raises(BoundaryError) as caught:
        await fetch(direct, site(stub))
    assert caught.value.code == "page_unreadable"
    assert sent < 50_000_000


async def test_a_wrong_charset_in_the_header_is_seen_through(direct, stub):
    text = "山东财经大学，特聘教授。" * 50
    stub.gives(
        lambda: web.Response(body=text.encode("gbk"), headers={"Content-Type": "text/plain; charset=gb2312"}),
        lambda: web.Response(body=text.encode(), headers={"Content-Type": "text/plain; charset=iso-8859-1"}),
    )
    assert (await fetch(direct, site(stub))).text == text
    assert (await fetch(direct, site(stub))).text == text


async def test_garbage_instead_of_http(direct, dns):
    async def garbage(reader, writer):
        await reader.read(100)
        writer.write(b"\x00\x01 not http at all\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(BoundaryError):
            await fetch(direct, f"http://site.example.com:{port}/")


async def test_nobody_listens_and_nobody_knows_the_name(direct, stub):
    url = site(stub)
    await stub.server.close()
    with pytest.raises(BoundaryError):
        await fetch(direct, url)
    with pytest.raises(BoundaryError):
        await fetch(direct, "http://unknown.example.com/")


async def test_cancelling_closes_the_connection(direct, stub):
    entered, left = asyncio.Event(), asyncio.Event()

    async def hang(request):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    stub.handler = hang
    task = asyncio.create_task(fetch(direct, site(stub)))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # aiohttp's server cancels a handler when its client has gone, where told to; the connection itself is the fact.
    transport = stub.requests[0].transport
    async with asyncio.timeout(20):
        while transport is not None and not transport.is_closing():
            await asyncio.sleep(0.01)
