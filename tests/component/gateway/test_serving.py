"""Running a server: ports that cannot be had, the port that was found, stopping."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from literesearcher.errors import ConfigurationError
from literesearcher.gateway.serving import serve
from literesearcher.testing.served_gateway import PATIENCE


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


async def test_a_port_in_use_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            await serve(hello, host="127.0.0.1", port=port, stop=asyncio.Event(), setting="LITERESEARCHER_X__PORT")
    assert str(port) in caught.value.message
    assert "LITERESEARCHER_X__PORT" in caught.value.message


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
async def test_an_address_that_is_not_this_machine_s_is_named(host: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await serve(hello, host=host, port=0, stop=asyncio.Event())
    assert host in caught.value.message
    assert "LITERESEARCHER_GATEWAY__HOST" in caught.value.message


async def test_localhost_is_served_at_each_of_its_addresses_on_one_port() -> None:
    stop = asyncio.Event()
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(serve(hello, host="localhost", port=0, stop=stop, ready=found.set_result))
    port = await asyncio.wait_for(found, PATIENCE)
    for address in {info[4][0] for info in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}:
        reader, writer = await asyncio.open_connection(str(address), port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), PATIENCE)).endswith(b"hi")
        writer.close()
    stop.set()
    await asyncio.wait_for(running, PATIENCE)
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_it_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    stop = asyncio.Event()
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(serve(hello, host="127.0.0.1", port=0, stop=stop, ready=found.set_result))
    port = await asyncio.wait_for(found, PATIENCE)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"garbage\r\n\r\n")
    await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    stop.set()
    await asyncio.wait_for(running, PATIENCE)
    assert capfd.readouterr() == ("", "")


async def test_an_answer_that_never_ends_does_not_hold_the_stop_up() -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0.05)

    stop = asyncio.Event()
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(
        serve(endless, host="127.0.0.1", port=0, stop=stop, ready=found.set_result, grace_seconds=1)
    )
    port = await asyncio.wait_for(found, PATIENCE)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert await asyncio.wait_for(reader.read(10), PATIENCE)
    stop.set()
    await asyncio.wait_for(running, PATIENCE)
    writer.close()


async def test_cancelling_it_closes_the_port() -> None:
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(
        serve(hello, host="127.0.0.1", port=0, stop=asyncio.Event(), ready=found.set_result)
    )
    port = await asyncio.wait_for(found, PATIENCE)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, PATIENCE)
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def slow(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, and answers well after the time of a head."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(0.6)
    await hello(scope, receive, send)


async def test_a_client_that_stops_within_a_head_is_let_go_and_no_other() -> None:
    stop = asyncio.Event()
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(
        serve(slow, host="127.0.0.1", port=0, stop=stop, ready=found.set_result, head_seconds=0.2)
    )
    port = await asyncio.wait_for(found, PATIENCE)
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    heads = (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Mo")
    stuck = [await asyncio.open_connection("127.0.0.1", port) for _ in heads]
    for (_, writer), head in zip(stuck, heads, strict=True):
        writer.write(head)
    for reader, writer in stuck:
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b"", "closed without an answer"
        writer.close()
    # A slow body and a slow answer take longer than a head may; a second head on the same connection is timed again.
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\na")
    await asyncio.sleep(0.4)
    writer.write(b"b")
    assert (await asyncio.wait_for(reader.readuntil(b"hi"), PATIENCE)).startswith(b"HTTP/1.1 200")
    await asyncio.sleep(0.4)
    writer.write(request)
    assert (await asyncio.wait_for(reader.readuntil(b"hi"), PATIENCE)).startswith(b"HTTP/1.1 200")
    writer.write(request[:9])
    assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
    writer.close()
    stop.set()
    await asyncio.wait_for(running, PATIENCE)
