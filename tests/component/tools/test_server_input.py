"""What the proxy's HTTP service does with bad and hostile input, and what the port does with the same."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.requests import Request

from literesearcher.errors import BoundaryError, CallerError
from literesearcher.settings.model import Settings
from literesearcher.testing.scripted_tools import ScriptedTools, World
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.passage_extraction import PassageExtractor
from literesearcher.tools.port import Ask, ToolRequest
from literesearcher.tools.providers.port import SearchResult
from literesearcher.tools.service.bodies import MAX_BODY_BYTES, read_object
from literesearcher.tools.service.http_client import HttpTools
from literesearcher.tools.service.problems import problem_of

WORLD = World(
    searches={"q": [SearchResult("T", "https://t.example/", "S")]},
    pages={"https://t.example/": ("e", "s")},
)
UNREACHABLE = "Evidence in page: \nThe provided webpage content could not be accessed."


async def post(session, path, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with session.post(path, data=data, headers={"Content-Type": "application/json"}) as response:
        return response.status, response.content_type, await response.json(content_type=None)


CALL = {"name": "search", "arguments": {"query": ["q"]}}


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        ("/v1/tools/call", b"", 400, "invalid_json", None),
        ("/v1/tools/call", b"{", 400, "invalid_json", None),
        ("/v1/tools/call", b"[]", 400, "invalid_json", None),
        ("/v1/tools/call", b'{"a": "\xff\xfe"}', 400, "invalid_utf8", None),
        ("/v1/tools/call", b'"\\ud800"', 400, "invalid_json", None),
        ("/v1/tools/search", b'{"query": "\\ud800"}', 400, "invalid_json", None),
        ("/v1/tools/search", b'{"query": "q", "timeout_seconds": NaN}', 400, "invalid_json", None),
        ("/v1/tools/search", b'{"query": "q", "timeout_seconds": 1e999}', 400, "invalid_json", None),
        ("/v1/tools/search", b'{"query": "q", "query": "r"}', 422, "invalid_request", "query"),
        ("/v1/tools/call", b'{"name": "search", "arguments": {"query": 1, "query": 2}}', 422, None, "query"),
        ("/v1/tools/call", b'{"query": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "invalid_json", None),
        ("/v1/tools/call", {"arguments": {}}, 422, "invalid_request", "name"),
        ("/v1/tools/call", {"name": "search", "arguments": []}, 422, None, "arguments"),
        ("/v1/tools/call", CALL | {"profile": "x"}, 422, None, "profile"),
        ("/v1/tools/call", CALL | {"profile": ["inference"]}, 422, None, "profile"),
        ("/v1/tools/call", CALL | {"timeout_seconds": 0}, 422, None, "timeout_seconds"),
        ("/v1/tools/call", CALL | {"timeout_seconds": True}, 422, None, "timeout_seconds"),
        ("/v1/tools/call", CALL | {"timeout_seconds": 3601}, 422, None, "timeout_seconds"),
        ("/v1/tools/call", CALL | {"tenant_id": 7}, 422, None, "tenant_id"),
        ("/v1/tools/call", CALL | {"tenant_id": "t" * 201}, 422, None, "tenant_id"),
        ("/v1/tools/call", CALL | {"cache": "always"}, 422, None, "cache"),
        ("/v1/tools/call", CALL | {"fidelity": "exact"}, 422, None, "fidelity"),
        ("/v1/tools/call", CALL | {"pages_read": {"t.example": -1}}, 422, None, "pages_read"),
        ("/v1/tools/call", CALL | {"pages_read": ["t.example"]}, 422, None, "pages_read"),
        ("/v1/tools/call", CALL | {"sources": []}, 422, None, "sources"),
        ("/v1/tools/call", CALL | {"sources": {"allowed": []}}, 422, None, "sources.allowed"),
        ("/v1/tools/call", CALL | {"sources": {"allow_domains": "a.b"}}, 422, None, "sources.allow_domains"),
        ("/v1/tools/call", CALL | {"sources": {"languages": [" "]}}, 422, None, "sources.languages.0"),
        ("/v1/tools/call", CALL | {"sources": {"deny_domains": ["a.b"] * 201}}, 422, None, "sources.deny_domains"),
        ("/v1/tools/call", CALL | {"sources": {"published_after": "20260101"}}, 422, None, "sources.published_after"),
        ("/v1/tools/call", CALL | {"sources": {"published_before": 2026}}, 422, None, "sources.published_before"),
        ("/v1/tools/call", CALL | {"sources": {"deny_domains": ["a b"]}}, 422, None, "sources.deny_domains.0"),
        (
            "/v1/tools/call",
            CALL | {"sources": {"max_pages_per_domain": 0}},
            422,
            None,
            "sources.max_pages_per_domain",
        ),
        ("/v1/tools/search", {"query": "q", "quary": 1}, 422, "invalid_request", "quary"),
        ("/v1/tools/search", {}, 422, "unusable_arguments", "query"),
        ("/v1/tools/search", {"query": []}, 422, "unusable_arguments", "query"),
        ("/v1/tools/search", {"query": 7}, 422, "unusable_arguments", "query"),
        ("/v1/tools/search", {"query": ["q", None]}, 422, "unusable_arguments", "query"),
        ("/v1/tools/search", {"query": ["q"] * 200}, 422, "unusable_arguments", "query"),
        ("/v1/tools/search", {"query": "q" * 1_900_000}, 422, "unusable_arguments", "query"),
        ("/v1/tools/search", {"query": "q" * 2_000_000}, 413, "body_too_large", None),
        ("/v1/tools/search", {"query": "q" * 20_000_000}, 413, "body_too_large", None),
        ("/v1/tools/visit", {"url": "https://t.example/"}, 422, "unusable_arguments", "goal"),
        ("/v1/tools/visit", {"url": 1, "goal": "g"}, 422, "unusable_arguments", "url"),
        ("/v1/tools/visit", {"url": ["https://t.example/" + "x" * 100_000] * 3, "goal": "g"}, 422, None, "url"),
        ("/v1/tools/visit", {"url": "x", "goal": "g" * 20_001}, 422, "unusable_arguments", "goal"),
        ("/v1/tools/search/batch", {"calls": []}, 422, None, "calls"),
        ("/v1/tools/search/batch", {"calls": {"query": "q"}}, 422, None, "calls"),
        ("/v1/tools/search/batch", {"calls": [{"query": "q"}] * 101}, 422, None, "calls"),
        ("/v1/tools/search/batch", {"calls": [{"query": "q"}], "cache": "only"}, 422, None, "cache"),
        ("/v1/tools/call", b" " * (MAX_BODY_BYTES + 1), 413, "body_too_large", None),
        ("/v1/tools/nothing", {}, 404, "route_not_found", None),
        ("/v1/tools/browse", {"url": "x"}, 404, "route_not_found", None),
        ("/livez", {}, 405, "method_not_allowed", None),
    ],
)
async def test_bad_input_gets_a_problem_document(serving, path, body, status, code, field):
    tools = ScriptedTools(world=WORLD)
    async with serving(tools) as session:
        got, media, problem = await post(session, path, body)
        assert (got, media, problem["status"]) == (status, "application/problem+json", status)
        if code is not None:
            assert problem["code"] == code
        assert problem["detail"]
        assert len(json.dumps(problem)) < 2_000
        if field is not None or status != 422:
            assert problem.get("field") == field
        assert tools.calls == []
        # And the service goes on.
        assert (await post(session, "/v1/tools/search", {"query": "q"}))[0] == 200


async def test_a_body_that_never_ends_is_given_up():
    sent = [{"type": "http.request", "body": b'{"name"', "more_body": True}]

    async def receive():
        if not sent:
            await asyncio.Event().wait()
        return sent.pop()

    with pytest.raises(CallerError) as caught:
        await read_object(Request({"type": "http", "headers": []}, receive), seconds=0.01)
    assert caught.value.code == "request_timeout"
    assert problem_of(caught.value).status_code == 408


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("browse", {"url": "x"}, "Error: Tool browse not found"),
        ("bro\ud800wse", {}, "Error: Tool bro\ud800wse not found"),
        ("search", {"query": 7}, "Error: search needs 'query', an array of strings."),
        ("search", {"query": {"a", "b"}}, "Error: search needs 'query', an array of strings."),
        ("search", {"query": "  "}, "Error: search needs at least one non-empty string in 'query'."),
        ("search", {"query": ["q"] * 200}, "Error: search takes at most 50 strings in 'query' a call; 200 were given."),
        ("search", {"query": "q" * 2_000_000}, "Error: a string in 'query' holds more than 4000 characters."),
        ("visit", {"url": "https://t.example/"}, "Error: visit needs 'goal', a string that says what to look for."),
        (
            "visit",
            {"url": ["https://t.example/" + "\x01" * 1_000_000], "goal": "g"},
            "Error: the strings in 'url' hold more than 250000 characters together.",
        ),
    ],
)
async def test_over_the_port_the_model_reads_a_text_near_and_far(serving, name, arguments, text):
    here = _proxy()
    async with serving(here) as session:
        there = HttpTools(str(session._base_url))
        request = ToolRequest(name, arguments, Ask(timeout_seconds=60.0))
        assert (await here.call(request)).text == text
        assert (await there.call(request)).text == text
        await there.aclose()
    await here.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://t.example/" + "x" * 100_000,
        "\x00",
        "http://[::1",
        "谁",
        "http://user:password@127.0.0.1/",
    ],
    ids=lambda url: url[:20],
)
async def test_a_url_that_may_not_be_fetched_reads_as_one_that_could_not_near_and_far(serving, url):
    here = _proxy()
    async with serving(here) as session:
        there = HttpTools(str(session._base_url))
        request = ToolRequest(
            "visit", {"url": url, "goal": "g\x00", "junk": {1: float("nan")}}, Ask(timeout_seconds=60.0)
        )
        near, far = await here.call(request), await there.call(request)
        assert near.text == far.text
        assert UNREACHABLE in far.text
        assert [item.ok for item in far.items] == [False]
        status, _, body = await post(session, "/v1/tools/visit", {"url": [url], "goal": "g"})
        assert (status, body["items"][0]["ok"]) == (200, False)
        await there.aclose()
    await here.aclose()


async def test_a_provider_key_that_is_refused_never_reads_as_no_results(serving, stub):
    from aiohttp import web

    stub.gives(lambda: web.json_response({"message": "Unauthorized."}, status=403))
    settings = Settings.model_validate(
        {
            "tools": {"search": ["serper"], "pages": ["direct"]},
            "serper": {"api_key": "sk-refused", "base_url": stub.url},
        }
    )
    here = assemble(settings, extractor=PassageExtractor(), clock=SystemClock())
    async with serving(here) as session:
        status, _, body = await post(session, "/v1/tools/search", {"query": "q"})
    await here.aclose()
    assert (status, body["text"]) == (200, "Google search timeout for query: 'q'")
    (item,) = body["items"]
    assert not item["ok"]
    assert [one["provider"] for one in item["tried"]] == ["serper"]
    assert item["tried"][0]["outcome"] not in ("ok", "empty")
    assert "sk-refused" not in json.dumps(body)


async def test_a_redirect_elsewhere_is_not_followed_with_the_token(stub, other_stub):
    from aiohttp import web

    other_stub.gives(lambda: web.json_response({}))
    stub.gives(lambda: web.Response(status=307, headers={"Location": other_stub.url}))
    client = HttpTools(stub.url, "z8Yservice")
    with pytest.raises(BoundaryError) as caught:
        await client.call(ToolRequest("search", {"query": ["q"]}))
    await client.aclose()
    assert caught.value.code == "tools_rejected"
    assert other_stub.requests == []


def _proxy():
    settings = Settings.model_validate(
        {"tools": {"search": ["serper"], "pages": ["direct"]}, "serper": {"api_key": "k"}}
    )
    return assemble(settings, extractor=PassageExtractor(), clock=SystemClock())
