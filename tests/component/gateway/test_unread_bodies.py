"""Bodies that are refused before they are here, or never come: the answer does not wait for them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from literesearcher.errors import NotFound
from literesearcher.gateway.border import Border
from literesearcher.gateway.serving import serve
from literesearcher.settings.sections import GatewaySection
from literesearcher.testing.served_gateway import PATIENCE, Served

SOONER_THAN_A_BODY = 20.0
"""Seconds; an answer that waits for the body's own time limit (30 s) is too late."""
POST = "POST /v1/research HTTP/1.1\r\nHost: localhost\r\n"
JSON = "Content-Type: application/json\r\n"


async def answer_to(port: int, request: str) -> bytes:
    """The answer, whole; not waiting for the server to close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    async with asyncio.timeout(SOONER_THAN_A_BODY):
        answer = await whole_answer(reader)
    writer.close()
    return answer


async def whole_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b"")


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (JSON + "Content-Length: 99999999999\r\n", 413, "body_too_large"),
        ("Content-Type: text/plain\r\nContent-Length: 100\r\n", 415, "unsupported_media_type"),
        ("Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n", 415, "unsupported_media_type"),
        ("Authorization: Bearer nobodys\r\n" + JSON + "Content-Length: 100\r\n", 401, "key_invalid"),
        (JSON + "Content-Length: 100\r\nTransfer-Encoding: chunked\r\n", 400, "bad_request"),
    ],
)
async def test_what_the_headers_refuse_is_refused_without_the_body(
    served: Served, headers: str, expect: str, status: int, code: str
) -> None:
    answer = await answer_to(served.port, POST + headers + expect + "\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), "and no 100 before it: the body is not wanted"
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == code


@pytest.mark.parametrize("length", [0, 4, 23])
async def test_a_body_of_two_lengths_makes_no_job(served: Served, length: int) -> None:
    headers = JSON + f"Content-Length: {length}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    answer = await answer_to(served.port, POST + headers + '\r\nd\r\n{"input":"q"}\r\n0\r\n\r\n')
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert (await served.store.list("default")).jobs == []


async def test_a_route_that_is_not_there_does_not_wait_for_the_body_either(served: Served) -> None:
    answer = await answer_to(
        served.port, f"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 100\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 404 ")


async def test_a_good_body_that_waits_to_be_asked_for_is_asked_for(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    headers = JSON + "Content-Length: 13\r\nExpect: 100-continue\r\nConnection: close\r\n"
    writer.write((POST + headers + "\r\n").encode())
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b'{"input":"q"}')
        assert b"HTTP/1.1 202 " in await reader.read()
    writer.close()


async def test_a_refused_body_that_is_here_costs_no_connection(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    async with asyncio.timeout(PATIENCE):
        for _ in range(2):
            writer.write((POST + "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\n" + '{"input":"q"}').encode())
            assert (await whole_answer(reader)).startswith(b"HTTP/1.1 415 ")
    writer.close()


async def test_a_body_that_stops_is_not_waited_for_twice() -> None:
    waits = 0

    async def never() -> Any:
        nonlocal waits
        waits += 1
        await asyncio.Event().wait()

    sent = await _through(Border(_reads_its_body, gateway=GatewaySection(), body_seconds=0.05), never)
    assert sent[0]["status"] == 408
    assert waits == 1


async def test_the_answer_is_out_before_the_rest_of_the_body_is_read() -> None:
    sent: list[Any] = []
    before: list[int] = []

    async def endless() -> Any:
        before.append(sum(len(message.get("body", b"")) for message in sent))
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x" * 65536, "more_body": len(before) < 50}

    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        raise NotFound("there is no such thing")

    await _through(Border(refuses, gateway=GatewaySection()), endless, sent)
    assert sent[0]["status"] == 404
    assert before[-1] > 0, "the problem document"
    assert len(before) == 50, "all of it is read, so that the sender does not fail before it reads the answer"
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_a_sender_that_goes_on_and_on_is_left() -> None:
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    app = Border(_reads_its_body, gateway=GatewaySection())
    running = asyncio.ensure_future(serve(app, host="127.0.0.1", port=0, stop=stop, ready=port.set_result))
    _reader, writer = await asyncio.open_connection("127.0.0.1", await asyncio.wait_for(port, PATIENCE))
    writer.write((POST + JSON + "Transfer-Encoding: chunked\r\n\r\n").encode())
    async with asyncio.timeout(SOONER_THAN_A_BODY):
        with pytest.raises(ConnectionError):
            await _send_on_and_on(writer)
    writer.close()
    stop.set()
    await asyncio.wait_for(running, PATIENCE)


async def _send_on_and_on(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)


async def _reads_its_body(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass


async def _through(app: Any, receive: Any, sent: list[Any] | None = None) -> list[Any]:
    """What an application sends to a POST whose body comes from `receive`."""
    messages: list[Any] = [] if sent is None else sent

    async def send(message: Any) -> None:
        messages.append(message)

    headers = [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    async with asyncio.timeout(PATIENCE):
        await app(scope, receive, send)
    return messages
