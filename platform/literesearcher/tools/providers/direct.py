"""Pages fetched from here: every hop checked by the guard, connected to checked addresses, bounded in every way.

Owns: redirects, size and time limits, decompression. Refuses to know: what a page says, other providers.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.reading.archives import is_archive
from literesearcher.timing.retry import retry_after_seconds
from literesearcher.tools.pages.text import PageReader, kind_of
from literesearcher.tools.perimeter.guard import Guard, RefusedTarget
from literesearcher.tools.providers.declared import language
from literesearcher.tools.providers.port import BUSY, Crossing, FetchedPage, SiteRefused, fetched_page

TRY_SECONDS = 30.0
MAX_HOPS = 5
MAX_BYTES = 10_000_000
"""Of the decompressed body; text beyond it is cut (95,000 tokens are far less), a cut PDF cannot be read."""
_MISSING = (404, 410)
_REDIRECTS = (301, 302, 303, 307, 308)
_CHALLENGES = (401, 403, 405, 429, 503)
"""Statuses with which sites answer a visitor that they want to check."""
_CHALLENGE_BYTES = 200_000
_CHUNK = 65_536
HEADERS = {
    "User-Agent": "Mozilla/5.0 (compatible; LiteResearcher/0.1)",
    "Accept": "text/html,application/xhtml+xml,application/pdf,text/*;q=0.9,application/json;q=0.8,*/*;q=0.1",
    "Accept-Language": "en-US,en;q=0.9,zh-CN;q=0.8",
    "Accept-Encoding": "gzip, deflate",
}


class DirectPages:
    """The web itself."""

    id = "direct"
    private = False
    policy = BUSY
    cache_key = "direct"

    def __init__(
        self,
        *,
        guard: Guard,
        reader: PageReader,
        max_bytes: int = MAX_BYTES,
        try_seconds: float = TRY_SECONDS,
        crossing: Crossing | None = None,
    ) -> None:
        self._guard = guard
        self._reader = reader
        self._max_bytes = max_bytes
        self._seconds = try_seconds
        self._crossing = crossing
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        """The page as text, after at most five redirects."""
        async with AsyncExitStack() as crossed:
            return await self._followed(url, tenant_id, timeout_seconds, crossed)

    async def _followed(self, url: str, tenant_id: str, timeout_seconds: float, crossed: AsyncExitStack) -> FetchedPage:
        until = time.monotonic() + min(self._seconds, timeout_seconds)
        target = first = self._guard.target(url, tenant_id=tenant_id)
        session = self._open(tenant_id)
        private = False
        failure: RefusedTarget | BoundaryError
        try:
            for hop in range(MAX_HOPS + 1):
                if hop and self._crossing is not None:
                    await crossed.aclose()  # the place of the hop before
                    asked, host, left = str(first.raw_host), str(target.raw_host), until - time.monotonic()
                    await crossed.enter_async_context(
                        self._crossing(self.id, tenant_id=tenant_id, asked=asked, host=host, seconds=left)
                    )
                left = max(0.001, until - time.monotonic())
                timeout = aiohttp.ClientTimeout(total=left, sock_connect=min(10.0, left))
                async with session.get(target, allow_redirects=False, timeout=timeout) as response:
                    private = private or self._guard.is_inside(target, _peer(response), tenant_id=tenant_id)
                    location = response.headers.get("Location")
                    if response.status in _REDIRECTS and location:
                        target = self._guard.target(str(_joined(target, location)), tenant_id=tenant_id)
                        continue
                    if response.status != 200:
                        if response.status in _CHALLENGES and await self._is_challenge(response, tenant_id):
                            raise BoundaryError("the site asks for proof of a human visitor", code="page_challenge")
                        raise SiteRefused(
                            f"the site answered {response.status}",
                            host=str(target.raw_host),
                            code="page_missing" if response.status in _MISSING else "page_status",
                            transient=response.status >= 500,
                            retry_after=_retry_after(response),
                        )
                    media, charset = response.content_type, response.charset
                    if "Content-Type" not in response.headers:
                        media = ""
                    headers = response.headers
                    body = await self._body(response, media)
                page = await self._reader.read(body, media, charset, url=str(target), tenant_id=tenant_id)
                found = fetched_page(self.id, page, url=str(target), private=private)
                # What the page says of itself is nearer to it than what its server says of all its pages.
                return found if found.language else replace(found, language=language(headers.get("Content-Language")))
            failure = BoundaryError("the site redirects in circles", code="page_status")
        except TimeoutError:
            failure = BoundaryError("the site took too long", code="page_timeout", transient=True)
        except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
            failure = BoundaryError(f"the site cannot be read ({type(error).__name__})", code="page_unreachable")
        raise failure

    async def _is_challenge(self, response: aiohttp.ClientResponse, tenant_id: str) -> bool:
        """Does the error page hold a captcha or another check of its visitor?"""
        if "challenge" in response.headers.get("cf-mitigated", ""):
            return True
        head = b""
        async for chunk in _plain_chunks(response):
            head += chunk
            if len(head) >= _CHALLENGE_BYTES:
                break
        try:
            page = await self._reader.read(
                head[:_CHALLENGE_BYTES], response.content_type, response.charset, tenant_id=tenant_id
            )
        except BoundaryError:
            return False
        return page.kind == "captcha"

    async def _body(self, response: aiohttp.ClientResponse, media: str) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in _plain_chunks(response):
            if not chunks:
                kind_of(chunk, media)  # a picture or a film is given up after its first bytes
                _refuse_archive(chunk)
            chunks.append(chunk[: self._max_bytes - size])
            size += len(chunk)
            if size >= self._max_bytes:
                break
        body = b"".join(chunks)
        _refuse_archive(body)  # again: the first chunk may be a single byte
        return body

    def _open(self, tenant_id: str) -> aiohttp.ClientSession:
        # One a reach: a connection kept open is not resolved again, so it must not serve who may not resolve it.
        reach = self._guard.reach(tenant_id)
        session = self._sessions.get(reach)
        if session is None or session.closed:
            session = self._sessions[reach] = aiohttp.ClientSession(
                connector=self._guard.connector(tenant_id=reach),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=HEADERS,
                auto_decompress=False,
                trust_env=False,  # a proxy from the environment would resolve names again, unchecked
                max_line_size=32_768,
                max_field_size=32_768,
            )
        return session

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""
        for session in self._sessions.values():
            await session.close()


def _refuse_archive(head: bytes) -> None:
    """Whatever the page calls itself, and a gzip within a gzip too."""
    if is_archive(head[:512]):
        raise BoundaryError("the page is an archive", code="page_unreadable")


def _peer(response: aiohttp.ClientResponse) -> str | None:
    """The address that answers; None where the connection is gone with the body's last byte."""
    connection = response.connection
    transport = connection.transport if connection is not None else None
    peer = transport.get_extra_info("peername") if transport is not None else None
    return str(peer[0]) if peer else None


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """What a busy site asks to wait; a date is read by the site's own clock."""
    if response.status not in (429, 503):
        return None
    try:
        now = parsedate_to_datetime(response.headers.get("Date", ""))
    except (TypeError, ValueError):
        return retry_after_seconds(response.headers.get("Retry-After"), datetime.max.replace(tzinfo=UTC)) or None
    return retry_after_seconds(response.headers.get("Retry-After"), now if now.tzinfo else now.replace(tzinfo=UTC))


def _joined(base: URL, location: str) -> URL:
    try:
        return base.join(URL(location))
    except ValueError:
        raise RefusedTarget("the site redirects to something that is no URL") from None


async def _plain_chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body decompressed piece by piece, each piece bounded: a bomb goes off one chunk at a time."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        async for data in response.content.iter_chunked(_CHUNK):
            yield data
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BoundaryError("the site used an encoding that was not offered", code="page_unreadable")
    inflater = None
    async for data in response.content.iter_chunked(_CHUNK):
        if inflater is None:
            # Some servers send raw deflate; a zlib header is recognised by its first byte.
            raw = encoding == "deflate" and data[:1] and data[0] & 0x0F != 8
            inflater = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32)
        while data and not inflater.eof:
            piece = inflater.decompress(data, _CHUNK)
            data = inflater.unconsumed_tail
            if piece:
                yield piece
