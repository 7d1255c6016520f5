"""The console's files as they are served: to whom, under which policy, and that nothing else is."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest

from literesearcher.gateway.console.page_files import FOLDER, page_files
from literesearcher.testing.served_gateway import Served

Start = Callable[..., Awaitable[Served]]
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_the_page_and_all_that_it_loads_are_served_under_one_policy(served: Served) -> None:
    async with served.session.get(served.base + "/", headers=HTML) as answer:
        page = await answer.text()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert "/console/console.js" in named
    assert all(name.startswith("/console/") for name in named)
    for name in [*named, *(f"/console/{file}" for file in page_files() if file != "index.html")]:
        async with served.session.get(served.base + name) as answer:
            assert answer.status == 200, name
            policy = answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_no_file_holds_inline_code_or_makes_elements_of_text() -> None:
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 300, path.name
        if path.suffix == ".html":
            assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", text), path.name
        if path.suffix == ".js":
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|https?://(?!www\.w3\.org)",
                text,
            ), path.name


async def test_a_client_of_the_api_that_strays_there_is_told_so(served: Served) -> None:
    for accept in ("application/json", "*/*"):
        status, headers, problem = await served.call("GET", "/", headers={"Accept": accept})
        assert (status, problem["code"]) == (404, "route_not_found"), headers
    status, headers, _ = await served.call("POST", "/", headers=HTML)
    assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (await served.call("HEAD", "/", headers=HTML))[0] == 200


@pytest.mark.parametrize(
    "name", ["index.html", "page_files.py", "..%2fpage_files.py", "%2e%2e/page_files.py", "%00", "x"]
)
async def test_no_other_file_is_served(served: Served, name: str) -> None:
    assert (await served.call("GET", f"/console/{name}"))[0] == 404


async def test_what_the_browser_has_is_not_sent_again(served: Served) -> None:
    async with served.session.get(served.base + "/console/console.js") as answer:
        etag = answer.headers["ETag"]
        assert answer.headers["Cache-Control"] == "no-cache"
    async with served.session.get(served.base + "/console/console.js", headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")


async def test_a_link_elsewhere_opens_the_page_and_reaches_nothing_else(start: Start) -> None:
    served = await start(names=["research.example"])
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await served.call("GET", "/", headers=HTML | link))[0] == 200
    assert (await served.call("GET", "/", headers=HTML | {"Host": "rebound.example"}))[0] == 200
    assert (await served.call("GET", "/v1/research", headers={"Host": "rebound.example"}))[0] == 421
    for change in (
        {"Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        {"Origin": "https://evil.example"},
        {"Accept": "*/*"},
    ):
        assert (await served.call("GET", "/", headers=HTML | link | change))[0] == 403
    for path in ("/console/console.js", "/v1/research", "/v1/models"):
        assert (await served.call("GET", path, headers=HTML | link))[0] == 403


async def test_the_page_wants_no_key_and_the_api_behind_it_does(start: Start) -> None:
    served = await start()
    await served.store.create_key("acme", "k")
    assert (await served.call("GET", "/", headers=HTML))[0] == 200
    assert (await served.call("GET", "/v1/research"))[0] == 401
