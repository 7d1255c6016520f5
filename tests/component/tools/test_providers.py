"""What holds for every provider that answers over HTTP: no failure reads as an answer, none says a secret or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import traceback
import zlib

import pytest
from aiohttp import web
from pydantic import SecretStr

from literesearcher.errors import BoundaryError
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.perimeter.guard import RefusedTarget
from literesearcher.tools.providers.brave import BraveSearch
from literesearcher.tools.providers.firecrawl import FirecrawlPages
from literesearcher.tools.providers.jina import JinaPages
from literesearcher.tools.providers.scrapedo import ScrapedoPages
from literesearcher.tools.providers.searxng import SearxngSearch
from literesearcher.tools.providers.serper import SerperSearch
from literesearcher.tools.providers.tavily import TavilySearch

SECRET = "q7Zk+w9/=%&?key"
TELLTALE = "q7Zk"
ASKED = "x3vw"
TARGET = f"http://{ASKED}.example.com/"
SEARCHES = ("serper", "searxng", "brave", "tavily")
PAGES = ("jina", "scrapedo", "firecrawl")
JSON = (*SEARCHES, "firecrawl")

SELF_SIGNED = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgs2MRbuVJ3rar8Ob8
Q+eYGik+AqtNbZhaeF/gecv46CyhRANCAAR05a8glbf7WR2foV+4Vbn7h4JNMD4u
Z9n3KJDuSSinDEQGJBHlNXLb+tdTZTMZ/kSp8h8wXA53ClpdVr4Lwn8M
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUXhNcCUYCgLA1hp4CvoctPXVXa34wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDEyMjg0NFoYDzIxMjYxMDMx
MTIyODQ0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAR05a8glbf7WR2foV+4Vbn7h4JNMD4uZ9n3KJDuSSinDEQGJBHlNXLb
+tdTZTMZ/kSp8h8wXA53ClpdVr4Lwn8Mo28wbTAdBgNVHQ4EFgQUDRFBDYNzTNLb
44bLCp0WMmh1JxkwHwYDVR0jBBgwFoAUDRFBDYNzTNLb44bLCp0WMmh1JxkwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAJUFjDroEcfva8nojHzeAs16Wg4QWEQ7Gp6unBjeQL7FAiEA
0kpnBmNfpzKFIzPQ21fpnw7at3C9K1B3l5fnl2o7PMI=
-----END CERTIFICATE-----
"""
"""Of a server that nobody vouches for; the key opens nothing else."""


@pytest.fixture
async def make(stub, wire, guard):
    """`make(name, base)`: the provider with the planted key, at `base` or the stub."""
    reader = PageReader()
    key = SecretStr(SECRET)

    def build(name, base=None):
        told = {"api_key": key, "base_url": base or stub.url, "wire": wire}
        if name == "brave":
            return BraveSearch(**told, clock=ManualClock())
        if name in ("scrapedo", "jina"):
            return {"scrapedo": ScrapedoPages, "jina": JinaPages}[name](**told, guard=guard, reader=reader)
        searches = {"serper": SerperSearch, "searxng": SearxngSearch, "tavily": TavilySearch}
        if name in searches:
            return searches[name](**told)
        return FirecrawlPages(**told, guard=guard)

    yield build
    await reader.aclose()


async def ask(provider, seconds=30.0, target="http://a.example.com/"):
    call = provider.search if provider.id in SEARCHES else provider.fetch
    return await call(target, tenant_id="", timeout_seconds=seconds)


async def failure_of(provider, seconds=30.0):
    with pytest.raises(BoundaryError) as caught:
        await ask(provider, seconds)
    return caught.value


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"organic": {}, "results": {}, "web": {"results": "x"}, "data": "x", "success": 1}',
    ],
)
async def test_garbage_is_a_failure_never_an_empty_answer(make, stub, name, body):
    stub.gives(lambda: web.Response(body=body, content_type="application/json"))
    error = await failure_of(make(name))
    assert (error.code, error.transient) == ("provider_garbage", True)


@pytest.mark.parametrize("name", [*SEARCHES, *PAGES])
@pytest.mark.parametrize(
    ("status", "code", "transient"),
    [
        (301, "provider_rejected", False),
        (302, "provider_rejected", False),
        (402, "provider_quota", False),
        (405, "provider_rejected", False),
        (408, "provider_timeout", True),
        (429, "provider_busy", True),
        (500, "provider_error", True),
        (502, "provider_error", True),
        (503, "provider_busy", True),
    ],
)
async def test_a_refusal_is_named_and_nothing_is_followed(make, stub, name, status, code, transient):
    headers = {"Location": stub.url + "/elsewhere", "Retry-After": "9"}
    stub.gives(lambda: web.Response(status=status, text="words " * 200, headers=headers))
    error = await failure_of(make(name))
    assert (error.code, error.transient) == (code, transient)
    assert len(stub.requests) == 1
    if transient and name != "brave":
        assert error.retry_after == 9.0


@pytest.mark.parametrize("name", [*SEARCHES, *PAGES])
async def test_a_refusal_whose_body_never_ends_or_breaks_is_judged_by_its_status(make, stub, name):
    async def endless(request):
        response = web.StreamResponse(status=402)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 1_000_000)
        return response

    async def half(request):
        response = web.StreamResponse(status=402, headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"not enough")
        request.transport.close()
        return response

    for handler in (endless, half):
        stub.handler = handler
        assert (await failure_of(make(name))).code == "provider_quota"


@pytest.mark.parametrize("name", [*SEARCHES, *PAGES])
async def test_half_wrong_and_endless_answers(make, stub, name):
    async def half(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"organic": [], "results": []}')
        request.transport.close()
        return response

    async def cut_chunk(request):
        request.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n{}")
        request.transport.close()
        return web.Response()

    async def wrong_coding(request):
        return web.Response(body=b"not gzip", headers={"Content-Encoding": "gzip"})

    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 1_000_000)
        return response

    async def bomb(request):
        body = zlib.compress(bytes(60_000_000), wbits=31)
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    broken = {"provider_garbage", "provider_unreachable"}
    for handler, codes in (
        (half, broken),
        (cut_chunk, broken),
        (wrong_coding, broken),
        (endless, {"provider_too_large"}),
        (bomb, {"provider_too_large"}),
    ):
        stub.handler = handler
        assert (await failure_of(make(name))).code in codes, handler.__name__


@pytest.mark.parametrize("name", [*SEARCHES, *PAGES])
async def test_a_provider_that_hangs_is_given_up(make, stub, name):
    async def hang(request):
        await asyncio.Event().wait()

    async def hang_in_the_body(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.Event().wait()

    for handler in (hang, hang_in_the_body):
        stub.handler = handler
        error = await failure_of(make(name), seconds=0.1)
        assert (error.code, error.transient) == ("provider_timeout", True)


@pytest.mark.parametrize("name", [*SEARCHES, *PAGES])
async def test_a_name_that_does_not_resolve_and_a_certificate_that_nobody_vouches_for(make, name, tmp_path):
    gone = await failure_of(make(name, "http://nowhere.invalid"))
    assert (gone.code, gone.transient) == ("provider_unreachable", True)
    pem = tmp_path / "self-signed.pem"
    pem.write_text(SELF_SIGNED)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    asked = []
    server = await asyncio.start_server(lambda *streams: asked.append(streams), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await failure_of(make(name, f"https://127.0.0.1:{port}"))
    assert (error.code, error.transient) == ("provider_unreachable", False)
    assert asked == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    "url", ["http://127.0.0.2/", "http://inner.example.com/", "http://a.internal/", "ftp://a.example.com/", "pydoc:os"]
)
async def test_remote_readers_are_not_given_inner_targets(make, stub, dns, name, url):
    dns.names["inner.example.com"] = [["10.0.0.1"]]
    with pytest.raises(RefusedTarget):
        await ask(make(name), target=url)
    assert stub.requests == []


@pytest.mark.parametrize("name", ["jina", "scrapedo"])
async def test_a_reader_in_our_network_is_given_only_names_that_resolve_here(stub, wire, guard, dns, name):
    dns.names["site.example.com"] = [["93.184.216.34"]]
    stub.gives(lambda: web.Response(text="words", content_type="text/plain"))
    reader = PageReader()
    told = {"base_url": stub.url, "wire": wire, "guard": guard, "self_hosted": True, "reader": reader}
    own = JinaPages(api_key=None, **told) if name == "jina" else ScrapedoPages(api_key=SecretStr("k"), **told)
    assert (await ask(own, target="http://site.example.com/")).text == "words"
    with pytest.raises(RefusedTarget):
        await ask(own, target="http://wiki.corp.example/")
    assert len(stub.requests) == 1
    await reader.aclose()


@pytest.mark.parametrize("failure", ["status", "quota", "redirect", "refused", "timeout", "garbage", "half", "no_json"])
async def test_a_planted_secret_appears_nowhere(make, stub, caplog, failure):
    """Not in a log record, an error, its traceback, its causes, or a repr; nor do the target and the query."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)

    async def act(request):
        echo = f"{request.url} {dict(request.headers)} not enough credits"
        if failure == "status":
            return web.Response(status=500, text=echo)
        if failure == "quota":
            return web.Response(status=403, text=echo)
        if failure == "redirect":
            return web.Response(status=302, headers={"Location": str(request.url)})
        if failure == "timeout":
            await asyncio.Event().wait()
        if failure == "no_json":
            return web.Response(body=b'{"success": false, "web": 7, "x": ' + echo.encode(), content_type="image/png")
        if failure == "half":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            request.transport.close()
            return response
        request.transport.write(b"HTTP/9.9 \x00garbage\r\n\r\n")
        request.transport.close()
        return web.Response()

    stub.handler = act
    base = stub.url
    if failure == "refused":
        await stub.server.close()
    shown = []
    for name in (*SEARCHES, *PAGES):
        provider = make(name, base)
        if (name, failure) == ("jina", "no_json"):
            continue  # any text is a page to it
        with pytest.raises(BoundaryError) as caught:
            await ask(provider, 0.3, TARGET)
        error: BaseException | None = caught.value
        shown += [repr(provider), repr(vars(provider)), provider.cache_key, "".join(traceback.format_exception(error))]
        while error is not None:
            shown += [repr(error), str(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
    # The server's own log is this test's, not the program's.
    theirs = ("aiohttp.access", "aiohttp.server")
    shown += [record.getMessage() for record in caplog.records if record.name not in theirs]
    everything = "\n".join(shown)
    assert TELLTALE not in everything
    assert ASKED not in everything
    assert len(everything) > 500
