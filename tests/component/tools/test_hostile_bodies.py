"""Direct fetching of what is made to exhaust its reader: archives, bombs within bombs, headers without end."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import resource
import tarfile
import zipfile
import zlib

import pytest
from aiohttp import web

from literesearcher.errors import BoundaryError
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.providers.direct import DirectPages


@pytest.fixture
async def reader():
    reader = PageReader(seconds=3)
    yield reader
    await reader.aclose()


@pytest.fixture
async def direct(guard, reader):
    pages = DirectPages(guard=guard, reader=reader, max_bytes=2_000_000, try_seconds=30)
    yield pages
    await pages.aclose()


def site(stub):
    return f"http://site.example.com:{stub.server.port}/"


async def code_of_failure(direct, url, seconds=60.0):
    with pytest.raises(BoundaryError) as caught:
        await direct.fetch(url, tenant_id="", timeout_seconds=seconds)
    return caught.value.code


def archives() -> dict[str, bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.txt", b"\0" * 5_000_000)
    rolled = io.BytesIO()
    with tarfile.open(fileobj=rolled, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    text = b"secret words " * 1000
    return {
        "zip": packed.getvalue(),
        "tar": rolled.getvalue(),
        "gzip": gzip.compress(text),
        "bzip2": bz2.compress(text),
        "xz": lzma.compress(text),
    }


@pytest.mark.parametrize("media", ["application/zip", "text/plain", "text/html", "application/pdf", ""])
@pytest.mark.parametrize(
    ("name", "body"), archives().items(), ids=lambda value: value if isinstance(value, str) else ""
)
async def test_an_archive_is_not_read_whatever_it_is_called(direct, stub, name, body, media):
    async def serve(request):
        response = web.StreamResponse(headers={"Content-Type": media} if media else {})
        if not media:
            response.headers.pop("Content-Type", None)
        await response.prepare(request)
        await response.write(body)
        return response

    stub.handler = serve
    assert await code_of_failure(direct, site(stub)) == "page_unreadable"


async def test_a_gzip_within_a_gzip_is_not_unpacked(direct, stub):
    body = gzip.compress(gzip.compress(b"\0" * 50_000_000))
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
    stub.gives(lambda: web.Response(body=body, headers=headers))
    assert await code_of_failure(direct, site(stub)) == "page_unreadable"


async def test_an_archive_that_comes_byte_by_byte_is_still_one(direct, stub):
    body = archives()["zip"]

    async def drip(request):
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        for at in range(8):
            await response.write(body[at : at + 1])
            await asyncio.sleep(0.01)  # so that the first read of the client holds less than the sign
        await response.write(body[8:])
        return response

    stub.handler = drip
    assert await code_of_failure(direct, site(stub)) == "page_unreadable"


async def test_a_bomb_is_never_unpacked_beyond_its_bound(direct, stub, monkeypatch):
    """A gigabyte from a megabyte: no more than a chunk at a time leaves the unpacker, and little of it at all."""
    body = zlib.compress(b" " * 500_000_000, 9)
    pieces: list[int] = []
    unpacker = zlib.decompressobj

    class Watched:
        def __init__(self, wbits):
            self._inner = unpacker(wbits)

        def decompress(self, data, most=0):
            piece = self._inner.decompress(data, most)
            pieces.append(len(piece))
            return piece

        def __getattr__(self, name):
            return getattr(self._inner, name)

    monkeypatch.setattr("literesearcher.tools.providers.direct.zlib.decompressobj", Watched)
    headers = {"Content-Encoding": "deflate", "Content-Type": "text/plain"}
    stub.gives(lambda: web.Response(body=body, headers=headers))
    page = await direct.fetch(site(stub), tenant_id="", timeout_seconds=60)
    assert len(page.text) == 2_000_000
    assert max(pieces) <= 65_536
    assert sum(pieces) < 2_200_000


async def raw_server(answer):
    """A server that sends these bytes, then whatever `answer` goes on to give, until the client has gone."""
    sent = [0]
    gone = asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        try:
            for piece in answer():
                writer.write(piece)
                sent[0] += len(piece)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            gone.set()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1], sent, gone


def endless_headers():
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    for number in range(3_000_000):
        yield b"X-%d: %s\r\n" % (number, b"x" * 200)


def one_long_header():
    yield b"HTTP/1.1 200 OK\r\nX: "
    for _ in range(20_000):
        yield b"x" * 30_000


def endless_status_line():
    yield b"HTTP/1.1 200 "
    for _ in range(20_000):
        yield b"x" * 30_000


def endless_informational_answers():
    for _ in range(3_000_000):
        yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


def endless_chunk_size():
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(3_000_000):
        yield b"0" * 30_000


def endless_trailers():
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
    for number in range(3_000_000):
        yield b"X-%d: %s\r\n" % (number, b"x" * 200)


FLOODS = [endless_headers, one_long_header, endless_status_line, endless_trailers]


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
async def test_a_flood_of_headers_is_given_up_early(direct, dns, flood):
    server, port, sent, gone = await raw_server(flood)
    async with server:
        await code_of_failure(direct, f"http://site.example.com:{port}/")
        async with asyncio.timeout(60):
            await gone.wait()
    assert sent[0] < 20_000_000


@pytest.mark.parametrize("flood", [endless_informational_answers, endless_chunk_size], ids=lambda flood: flood.__name__)
async def test_what_no_limit_on_headers_counts_ends_with_the_time_of_the_page(direct, dns, flood):
    server, port, _, gone = await raw_server(flood)
    async with server:
        await code_of_failure(direct, f"http://site.example.com:{port}/", seconds=1)
        async with asyncio.timeout(60):
            await gone.wait()


def pdf_bomb(operators: bytes, times: int) -> bytes:
    """One page whose content is `operators` so many times over, packed twice."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(operators * 1000) for _ in range(times // 1000)) + packer.flush()
    stream = zlib.compress(packed, 9)
    filters = b"[/FlateDecode /FlateDecode]"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [5 0 R] /Count 1 >>",
        b"<< /Length %d /Filter %s >>\nstream\n%s\nendstream" % (len(stream), filters, stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 3 0 R"
        b" /Resources << /Font << /F1 4 0 R >> >> >>",
    ]
    body = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    body += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return body + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, table)


async def test_a_bomb_inside_a_pdf_costs_this_process_neither_its_memory_nor_its_time(direct, stub):
    """Two kilobytes that become gigabytes in a PDF reader, then a page that is read as if nothing had been."""
    bomb = pdf_bomb(b"BT /F1 12 Tf (hello world) Tj ET\n", 20_000_000)
    small = pdf_bomb(b"BT /F1 12 Tf 0 0 Td (small) Tj ET\n", 1000)
    assert len(bomb) < 20_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stub.gives(
        lambda: web.Response(body=bomb, content_type="application/pdf"),
        lambda: web.Response(text="still here", content_type="text/plain"),
        lambda: web.Response(body=small, content_type="application/pdf"),
    )
    assert await code_of_failure(direct, site(stub)) == "page_unreadable"
    assert (await direct.fetch(site(stub), tenant_id="", timeout_seconds=60)).text == "still here"
    assert "small" in (await direct.fetch(site(stub), tenant_id="", timeout_seconds=60)).text
    grown_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kilobytes < 500_000
