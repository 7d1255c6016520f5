"""Jina Reader against a server that acts as it: the target as it is handed over, the text as it comes, its errors."""

from __future__ import annotations

import pytest
from aiohttp import web
from pydantic import SecretStr

from literesearcher.errors import BoundaryError
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.providers.jina import JinaPages


@pytest.fixture
async def reader():
    reader = PageReader()
    yield reader
    await reader.aclose()


@pytest.fixture
def jina(stub, wire, guard, reader):
    return JinaPages(api_key=None, base_url=stub.url, wire=wire, guard=guard, reader=reader)


async def fetch(provider, url, seconds=30.0):
    return await provider.fetch(url, tenant_id="", timeout_seconds=seconds)


@pytest.mark.parametrize(
    ("url", "raw"),
    [
        (
            "https://en.wikipedia.org/wiki/Nature_(journal)#Publication",
            "https://en.wikipedia.org/wiki/Nature_(journal)",
        ),
        ("https://a.example.com/x?y=1&z=a b", "https://a.example.com/x?y=1&z=a%20b"),
        ("https://baike.baidu.com/item/%E5%B1%B1", "https://baike.baidu.com/item/%E5%B1%B1"),
        ("https://zh.wikipedia.org/wiki/从你", "https://zh.wikipedia.org/wiki/%E4%BB%8E%E4%BD%A0"),
        ("https://bücher.example.com/ä", "https://xn--bcher-kva.example.com/%C3%A4"),
        ("https://a.example.com/100%/..%2f", "https://a.example.com/100%25/..%2f"),
        (" http://a.example.com ", "http://a.example.com"),
    ],
)
async def test_jina_is_given_the_target_as_the_model_wrote_it(jina, stub, url, raw):
    stub.gives(lambda: web.Response(text="Title: A page\n\nText", content_type="text/plain"))
    page = await fetch(jina, url)
    assert stub.requests[0].raw_path == "/" + raw
    assert "Authorization" not in stub.requests[0].headers
    assert (page.text, page.title) == ("Title: A page\n\nText", "A page")


async def test_jina_takes_a_key(stub, wire, guard, reader):
    stub.gives(lambda: web.Response(text="x"))
    await fetch(
        JinaPages(api_key=SecretStr("k"), base_url=stub.url + "/", wire=wire, guard=guard, reader=reader),
        "http://a.example.com",
    )
    assert stub.requests[0].headers["Authorization"] == "Bearer k"
    assert stub.requests[0].raw_path == "/http://a.example.com"


async def test_what_jina_sends_is_kept_to_the_byte(jina, stub):
    text = "å¸\x88èµ\x84 <b>not html</b>\r\n\ttab  \n" * 30
    stub.gives(lambda: web.Response(body=text.encode(), headers={"Content-Type": "text/html"}))
    assert (await fetch(jina, "http://a.example.com/")).text == text


async def test_the_heading_says_where_the_page_was_and_of_when_it_is(jina, stub):
    text = (
        "Title: A: page\n\nURL Source: https://b.example.com/x\n\nPublished Time: 2024-05-06T07:08:09+00:00\n\n"
        "Markdown Content:\nTitle: Another\n\nURL Source: https://evil.example.com/\n"
    )
    stub.gives(lambda: web.Response(text=text))
    page = await fetch(jina, "http://a.example.com/")
    assert (page.text, page.title, page.url) == (text, "A: page", "https://b.example.com/x")
    assert page.published == "2024-05-06"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "URL Source: javascript:alert(1)\n",
        "URL Source: \nPublished Time: yesterday\n",
        "words\nTitle: no\n",
        "Title:",
    ],
)
async def test_a_text_without_a_heading_says_nothing(jina, stub, text):
    stub.gives(lambda: web.Response(text=text))
    page = await fetch(jina, "http://a.example.com/")
    assert (page.text, page.title, page.url, page.published) == (text, None, None, None)


@pytest.mark.parametrize(
    ("status", "name", "code", "transient"),
    [
        (401, "AuthenticationFailedError", "provider_unauthorized", False),
        (402, "InsufficientBalanceError", "provider_quota", False),
        (409, "BudgetExceededError", "provider_rejected", False),
        (422, "AssertionFailureError", "provider_rejected", False),
        (429, "RateLimitTriggeredError", "provider_busy", True),
        (451, "SecurityCompromiseError", "provider_rejected", False),
        (500, "InternalServerError", "provider_error", True),
        (503, "ServiceNodeResourceDrainError", "provider_busy", True),
        (524, "TimeoutError", "provider_error", True),
    ],
)
async def test_an_error_of_the_reader_is_no_page(jina, stub, status, name, code, transient):
    body = {"data": None, "code": status, "name": name, "status": status * 100 + 1, "message": "words " * 200}
    stub.gives(lambda: web.json_response(body, status=status))
    with pytest.raises(BoundaryError) as caught:
        await fetch(jina, "http://a.example.com/")
    assert (caught.value.code, caught.value.transient) == (code, transient)
    assert len(stub.requests) == 1


async def test_a_large_text_in_another_encoding_is_decoded_elsewhere(jina, stub, monkeypatch):
    """Decoding holds up everything in its process; here it must not happen at all."""
    text = "Title: Café\n\n" + "Größe und Länge, ça va. " * 20_000

    def refused(*_given, **_named):
        raise AssertionError("decoded in the process of the event loop")

    stub.gives(lambda: web.Response(body=text.encode("cp1252"), headers={"Content-Type": "text/plain"}))
    monkeypatch.setattr("literesearcher.reading.conversion.decode", refused)
    monkeypatch.setattr("literesearcher.reading.charset.decode", refused)
    page = await fetch(jina, "http://a.example.com/")
    assert (page.text, page.title, page.cut_characters) == (text, "Café", 0)
