"""The JSON of a tool call and its result: what arrives equals what was sent, whatever either side knows."""

from __future__ import annotations

import dataclasses

import orjson
import pytest

from literesearcher.research.events import ToolItem, ToolTry
from literesearcher.research.messages import Usage
from literesearcher.research.tool_options import SourcePolicy
from literesearcher.tools.port import Ask, ToolRequest, ToolResult
from literesearcher.tools.service.wire_form import decode_request, decode_result, encode

ASK = Ask(
    job_id="j",
    tenant_id="t",
    profile="training",
    timeout_seconds=0.5,
    cache="only",
    sources=SourcePolicy(("a.b",), (".c",), "2020-01-01", "2020-01-02", ("en",), 1),
    fidelity="published",
    pages_read={"a.b": 1},
)
ITEM = ToolItem(
    kind="page",
    target="https://a.b/",
    ok=True,
    provider="jina",
    title="T",
    status="found",
    results=[{"title": "T", "url": "U"}],
    digest="d",
    extracted={"rational": "r", "evidence": "e\n", "summary": "谁"},
    text="text",
    cache="stale",
    fetched_at=1.5,
    elapsed_seconds=0.25,
    usage=Usage(1, 2, 3),
    cost_usd=0.001,
    tried=[ToolTry("direct", "timeout", 1.0), ToolTry("jina", "ok", 2.0, 0.001)],
    left_out={"deny_domains": 2},
    domain="a.b",
    recorded=False,
)


def defaulted(value) -> set[str]:
    """Names of the fields that have their default."""
    found = set()
    for field in dataclasses.fields(value):
        default = field.default_factory() if callable(field.default_factory) else field.default
        if getattr(value, field.name) == default:
            found.add(field.name)
    return found


def test_every_field_of_a_request_travels():
    assert defaulted(ASK) | defaulted(ASK.sources) == set(), (
        "give every field a value, so that this test sees it travel"
    )
    request = ToolRequest("visit", {"url": ["https://a.b/"], "goal": "\u2028\x00"}, ASK)
    assert decode_request(orjson.loads(encode(request))) == request
    plain = ToolRequest("search", {"query": "q"})
    assert decode_request(orjson.loads(encode(plain))) == plain
    assert decode_request({"name": "search", "arguments": {"query": "q"}}) == plain


def test_every_field_of_a_result_travels():
    assert defaulted(ITEM) == set(), "give every field a value: this test sees it travel"
    result = ToolResult("text\n", [ITEM, ToolItem("search", "q", ok=False)], 0.75)
    assert decode_result(encode(result)) == result


def test_fields_of_a_newer_proxy_are_let_be_and_those_of_an_older_one_have_defaults():
    newer = orjson.loads(encode(ToolResult("t", [ITEM], 1.0)))
    newer["later"] = newer["items"][0]["later"] = newer["items"][0]["tried"][0]["later"] = 1
    assert decode_result(orjson.dumps(newer)).items == [ITEM]
    older = {"text": "t", "items": [{"kind": "search", "target": "q", "ok": True}], "elapsed_seconds": 1}
    assert decode_result(orjson.dumps(older)).items == [ToolItem("search", "q", ok=True)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"text": "t", "items": 1, "elapsed_seconds": 0}',
        b'{"text": "t", "items": [1], "elapsed_seconds": 0}',
        b'{"text": "t", "items": [{"kind": "search"}], "elapsed_seconds": 0}',
        b'{"text": 1, "items": [], "elapsed_seconds": 0}',
        b'{"text": "t", "items": [], "elapsed_seconds": "x"}',
        b'{"text": "t", "items": [], "elapsed_seconds": null}',
    ],
)
def test_what_is_no_result_is_refused(body):
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_result(body)
