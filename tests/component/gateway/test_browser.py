"""A page in somebody's browser cannot use a keyless server: foreign names, foreign origins, forms."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from literesearcher.testing.served_gateway import PATIENCE, Served

module_wide = pytest.mark.asyncio(loop_scope="module")
Start = Callable[..., Awaitable[Served]]
ROUTES = [
    ("GET", "/v1/research"),
    ("POST", "/v1/research"),
    ("GET", "/v1/research/x"),
    ("GET", "/v1/research/x/events"),
    ("POST", "/v1/research/x/cancel"),
    ("DELETE", "/v1/research/x"),
    ("GET", "/v1/models"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/nowhere"),
    ("OPTIONS", "/v1/research"),
    ("HEAD", "/v1/research"),
]


async def status(served: Served, method: str, path: str, *headers: str, version: str = "1.1") -> int:
    """Status of a request written by hand, with exactly these headers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    lines = [f"{method} {path} HTTP/{version}", *headers, "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode("latin-1"))
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    assert b"access-control-" not in answer.lower()
    return int(answer.split(b" ", 2)[1])


@module_wide
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_foreign_name_is_421_and_a_foreign_page_403_on_every_route(
    served_once: Served, method: str, path: str
) -> None:
    good = f"Host: localhost:{served_once.port}"
    assert await status(served_once, method, path, "Host: evil.example") == 421
    assert await status(served_once, method, path, good, "Origin: https://evil.example") == 403
    assert await status(served_once, method, path, good, "Sec-Fetch-Site: cross-site") == 403
    assert await status(served_once, method, path, good, "Sec-Fetch-Site: same-site") == 403


@module_wide
@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example@localhost",
        "localhost@evil.example",
        "localhost/evil",
        "localhost:99999",
        "localhost:x",
        "[::1",
        "10.0.0.1",
        "0.0.0.0:8000",
        "2130706433",
        "",
        "local\u00adhost",
    ],
)
async def test_hosts_that_are_not_this_server(served_once: Served, host: str) -> None:
    assert await status(served_once, "GET", "/v1/research", f"Host: {host}") in (400, 421)


@module_wide
@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:1", "localhost.", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000"]
)
async def test_hosts_that_are(served_once: Served, host: str) -> None:
    assert await status(served_once, "GET", "/v1/research", f"Host: {host}") == 200


@module_wide
async def test_no_host_and_two_hosts(served_once: Served) -> None:
    assert await status(served_once, "GET", "/v1/research", version="1.0") in (400, 421)
    assert await status(served_once, "GET", "/v1/research", "Host: localhost", "Host: evil.example") in (400, 421)


async def test_configured_names_and_the_bound_host_are_served(start: Start) -> None:
    served = await start(host="10.1.2.3", anonymous=True, names=["Research.Example"])
    for host, expected in [
        ("research.example", 200),
        ("research.example:8443", 200),
        ("10.1.2.3:8000", 200),
        ("10.1.2.4", 421),
        ("other.example", 421),
    ]:
        assert await status(served, "GET", "/v1/research", f"Host: {host}") == expected, host


async def test_bound_to_every_address_a_bare_address_is_served_and_a_name_is_not(start: Start) -> None:
    """Probes come by the machine's address; a page cannot be served under it by anybody else."""
    served = await start(host="0.0.0.0", anonymous=True)
    assert await status(served, "GET", "/readyz", "Host: 10.9.8.7:8000") == 200
    assert await status(served, "GET", "/readyz", "Host: evil.example:8000") == 421


async def test_a_key_opens_any_name_and_a_wrong_one_none(served: Served) -> None:
    """A cluster's own names need no listing: no page elsewhere knows a key."""
    _, token = await served.store.create_key("one", "")
    host = "Host: gateway.research.svc:8000"
    assert await status(served, "GET", "/v1/research", host, f"Authorization: Bearer {token}") == 200
    assert await status(served, "GET", "/v1/research", host, "X-API-Key: guessed") == 401
    assert await status(served, "GET", "/v1/research", host, "X-API-Key: guessed", "Origin: https://e.example") == 403


@module_wide
@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:8000", 200),
        ("https://localhost:8000", 200),
        ("http://LOCALHOST:8000", 200),
        ("null", 403),
        ("", 403),
        ("http://localhost", 403),
        ("http://localhost:8001", 403),
        ("http://127.0.0.1:8000", 403),
        ("http://localhost:8000.evil.example", 403),
        ("http://localhost:8000@evil.example", 403),
        ("http://localhost:x", 403),
        ("file://localhost:8000", 403),
        ("chrome-extension://localhost:8000", 403),
        ("http://[::1", 403),
    ],
)
async def test_origins(served_once: Served, origin: str, expected: int) -> None:
    assert await status(served_once, "GET", "/v1/research", "Host: localhost:8000", f"Origin: {origin}") == expected


@module_wide
@pytest.mark.parametrize(("site", "expected"), [("none", 200), ("same-origin", 200), ("CROSS-SITE", 403)])
async def test_fetch_metadata(served_once: Served, site: str, expected: int) -> None:
    assert await status(served_once, "GET", "/v1/research", "Host: localhost", f"Sec-Fetch-Site: {site}") == expected


async def test_default_ports_are_the_same_origin(start: Start) -> None:
    served = await start(names=["research.example"])
    for origin in ("https://research.example", "https://research.example:443"):
        for host in ("research.example", "research.example:443"):
            assert await status(served, "GET", "/livez", f"Host: {host}", f"Origin: {origin}") == 200


async def test_nothing_came_of_a_form(served: Served) -> None:
    """What a form on another page can send: simple types, no own headers, no body at all."""
    job_id = await served.create()
    host = f"Host: localhost:{served.port}"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        for path in ("/v1/research", f"/v1/research/{job_id}/cancel"):
            assert await status(served, "POST", path, host, f"Content-Type: {kind}", "Content-Length: 0") == 415
    foreign = ("Origin: null", "Sec-Fetch-Site: cross-site", "Content-Length: 0")
    assert await status(served, "POST", f"/v1/research/{job_id}/cancel", host, *foreign) == 403
    page = await served.store.list("default")
    assert [(job.id, job.status) for job in page.jobs] == [(job_id, "queued")]
