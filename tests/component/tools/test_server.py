"""The proxy's HTTP service: its routes, who may call it, bad input, and a caller that hangs up."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from pydantic import SecretStr

from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.settings.sections import ToolsSection
from literesearcher.testing.scripted_tools import ScriptedTools, ToolStep, World
from literesearcher.tools.port import ToolRequest, ToolResult
from literesearcher.tools.providers.port import SearchResult
from literesearcher.tools.service.access import require_token_beyond_loopback
from literesearcher.tools.service.http_client import HttpTools

TOKEN = "z8Yservice"
WORLD = World(
    searches={"q": [SearchResult("T", "https://t.example/", "S")]},
    pages={"https://t.example/": ("e", "s")},
)


async def post(session, path, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with session.post(path, data=data, headers={"Content-Type": "application/json", **headers}) as response:
        return response.status, response.content_type, await response.json(content_type=None)


async def test_the_routes_give_results_with_their_facts(serving):
    async with serving(ScriptedTools(world=WORLD)) as session:
        status, _, body = await post(session, "/v1/tools/search", {"query": ["q"]})
        assert status == 200
        assert (
            body["text"]
            == "A Google search for 'q' found 1 results:\n\n## Web Results\n1. [T](https://t.example/)\n\nS"
        )
        assert body["items"][0]["results"] == [{"title": "T", "url": "https://t.example/"}]
        status, _, body = await post(session, "/v1/tools/visit", {"url": "https://t.example/", "goal": "g"})
        assert body["items"][0]["extracted"]["evidence"] == "e"
        status, _, body = await post(session, "/v1/tools/search", {"query": "q", "profile": "training"})
        assert body["text"].endswith("(https://t.example/)\nS")
        async with session.get("/v1/tools") as response:
            described = await response.json()
        assert [tool["function"]["name"] for tool in described["tools"]] == ["search", "visit"]
        assert described["tools"][0]["function"]["parameters"]["required"] == ["query"]
        assert (described["prices"], described["fidelity"]) == ({"search": 0.0, "visit": 0.0}, "improved")
        for path in ("/livez", "/readyz"):
            async with session.get(path) as response:
                assert response.status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "127.0.0.1@evil.example"}, 421),
        ({"Host": "evil.example@127.0.0.1"}, 421),
        ({"Host": "LOCALHOST:80"}, 200),
        ({"Host": "LOCALHOST:80", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost:8001", "Origin": "http://localhost:8002"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
async def test_without_a_token_no_page_in_a_browser_gets_in(headers, status, serving):
    tools = ScriptedTools(world=WORLD)
    async with serving(tools) as session:
        got, _, _ = await post(session, "/v1/tools/search", {"query": "q"}, **headers)
    assert got == status
    assert len(tools.calls) == (1 if status == 200 else 0)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN}", 200),
        (None, 401),
        ("Bearer ", 401),
        ("Bearer wrong", 401),
        ("Bearer caf\u00e9", 401),
        (TOKEN, 401),
        (f"Basic {TOKEN}", 401),
    ],
)
async def test_with_a_token_everybody_needs_it_but_probes(value, status, serving):
    async with serving(ScriptedTools(world=WORLD), TOKEN) as session:
        headers = {"Host": "tools.cluster.example"} | ({"Authorization": value} if value else {})
        got, _, body = await post(session, "/v1/tools/search", {"query": "q"}, **headers)
        assert got == status
        assert TOKEN not in json.dumps(body)
        async with session.get("/readyz", headers={"Host": "10.1.2.3"}) as response:
            assert response.status == 200


def test_beyond_loopback_a_token_is_required():
    for host in ("0.0.0.0", "::", "10.0.0.1", "tools.example"):
        with pytest.raises(ConfigurationError):
            require_token_beyond_loopback(ToolsSection(host=host))
        require_token_beyond_loopback(ToolsSection(host=host, token=SecretStr("x")))
    for host in ("127.0.0.1", "localhost", "::1"):
        require_token_beyond_loopback(ToolsSection(host=host))


async def test_a_caller_that_hangs_up_cancels_its_call(serving):
    entered, cancelled = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedTools):
        async def call(self, request: ToolRequest) -> ToolResult:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            raise AssertionError

    async with serving(Slow(), TOKEN) as session:
        client = HttpTools(str(session._base_url), TOKEN)
        task = asyncio.create_task(client.call(ToolRequest("search", {"query": ["q"]})))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(20):
            await cancelled.wait()
        await client.aclose()


@pytest.mark.parametrize(
    ("result", "code", "transient"),
    [
        (BoundaryError("quota", code="quota", transient=True), "tools_error", True),
        (BoundaryError("broken"), "tools_error", True),
        (RuntimeError("a bug with z8Yservice in it"), "tools_error", True),
    ],
)
async def test_the_client_attributes_what_the_server_says(result, code, transient, caplog, serving):
    caplog.set_level(logging.DEBUG, logger="literesearcher")
    async with serving(ScriptedTools([ToolStep("search", result)]), TOKEN) as session:
        client = HttpTools(str(session._base_url), TOKEN)
        with pytest.raises(BoundaryError) as caught:
            await client.call(ToolRequest("search", {"query": ["q"]}))
        await client.aclose()
    assert (caught.value.code, caught.value.transient) == (code, transient)
    assert TOKEN not in repr(vars(caught.value)) + str(caught.value)


async def test_a_wrong_token_a_wrong_server_and_nobody(stub, serving):
    from aiohttp import web

    async with serving(ScriptedTools(world=WORLD), TOKEN) as session:
        client = HttpTools(str(session._base_url), "wrong")
        with pytest.raises(BoundaryError) as caught:
            await client.call(ToolRequest("search", {"query": ["q"]}))
        await client.aclose()
        assert (caught.value.code, caught.value.transient) == ("tools_unauthorized", False)
    with pytest.raises(BoundaryError) as caught:
        await client.call(ToolRequest("search", {"query": ["q"]}))
    await client.aclose()
    assert (caught.value.code, caught.value.transient) == ("tools_unreachable", True)
    for body in (b"<html>", b"{}", b"[]", b'{"text": 1, "items": [], "elapsed_seconds": 0}'):
        stub.gives(lambda body=body: web.Response(body=body))
        other = HttpTools(stub.url)
        with pytest.raises(BoundaryError) as caught:
            await other.call(ToolRequest("search", {"query": ["q"]}))
        await other.aclose()
        assert caught.value.code == "tools_error"
