"""The engine's HTTP server, as requests to the raw model are passed on to it.

Owns: connections, the server's key, deadlines, and what of a failure a caller may read: never the key or the address.
Of the caller's headers nothing is passed on, and of the body every byte. Refuses to know: tenants, what is asked.
Above: `gateway.passed_answer`. Below: `engine.openai_failures`, which says what went wrong.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from urllib.parse import urlsplit

import aiohttp

from literesearcher.engine.openai_failures import excerpt, from_exception, from_status, garbage
from literesearcher.errors import BoundaryError, CallerError, LiteResearcherError, PromptTooLong
from literesearcher.gateway.model_call import ModelCall
from literesearcher.gateway.raw_model.port import RawAnswer
from literesearcher.settings.sections import EngineSection
from literesearcher.timing.clock import Clock

log = logging.getLogger("literesearcher.gateway")

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""An answer that is not streamed: 10,000 tokens with twenty alternatives each are about 20 MB."""
_CONNECT_SECONDS = 10.0
_EXCERPT_BYTES = 65_536
_MAX_LINE = 4 * 1024 * 1024
_SAID = {
    "engine_unreachable": "the model server cannot be reached",
    "engine_timeout": "the model server did not answer in time",
    "engine_busy": "the model server has no room at the moment",
    "engine_error": "the model server failed",
    "engine_garbage": "the model server gave an answer that cannot be read",
    "engine_unauthorized": "the model server does not admit this server",
}


def without_address(error: BoundaryError) -> BoundaryError:
    """The failure in words that name no server; the log has the others."""
    log.warning("the raw model: %s", error)
    said = _SAID.get(error.code, "the model server cannot be used")
    return BoundaryError(said, code=error.code, transient=error.transient, retry_after=error.retry_after)


class Upstream:
    """Implements `raw_model.port.RawModel` over the server that a section names. Connections open at the first call
    and are kept until `aclose`."""

    def __init__(self, section: EngineSection, *, clock: Clock) -> None:
        self._base = section.base_url.rstrip("/") if section.base_url and section.kind != "extractive" else None
        self._secret = section.api_key.get_secret_value() if section.api_key else None
        self._seconds = section.request_timeout_seconds
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    def check(self) -> None:
        """BoundaryError `no_language_model` where there is no server to pass anything on to."""
        if self._base is None:
            raise BoundaryError(
                "there is no language model behind this server: its operator names one with "
                "LITERESEARCHER_ENGINE__BASE_URL",
                code="no_language_model",
            )

    @asynccontextmanager
    async def answer(self, path: str, call: ModelCall) -> AsyncIterator[RawAnswer]:
        """The server's 200 to a POST of the body as it came; leaving the block closes the call to the server."""
        self.check()
        url = f"{self._base}{path.removeprefix('/v1')}"
        headers = {"Content-Type": "application/json"}
        if self._secret:
            headers["Authorization"] = f"Bearer {self._secret}"
        timeout = aiohttp.ClientTimeout(total=self._seconds, sock_connect=_CONNECT_SECONDS)
        try:
            async with self._open().post(
                url, data=call.raw, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise self._refusal(response, await _read(response, _EXCERPT_BYTES))
                if response.content_type == "application/json":
                    yield RawAnswer(body=await _whole(response))
                elif response.content_type == "text/event-stream":
                    async with aclosing(_lines(response)) as lines:
                        yield RawAnswer(pieces=lines)
                else:
                    raise garbage(f"it is {response.content_type}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise without_address(from_exception(error, url)) from error
        except BoundaryError as error:
            raise without_address(error) from error

    async def aclose(self) -> None:
        """Close connections. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _refusal(self, response: aiohttp.ClientResponse, said: bytes) -> LiteResearcherError:
        failure = from_status(response.status, response.headers, said, now=self._clock.now(), secret=self._secret)
        words = self._without_place(excerpt(said, self._secret)) or f"the model server answered {response.status}"
        if isinstance(failure, PromptTooLong):
            return CallerError(words, code="context_length_exceeded")
        if failure.code == "engine_rejected":
            return CallerError(words, code="model_refused")
        return failure

    def _without_place(self, words: str) -> str:
        parts = urlsplit(self._base or "")
        for place in (self._base, parts.netloc, parts.hostname):
            if place:
                words = words.replace(place, "***")
        return words

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # How many calls run at once is bounded by tenant, before they come here.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """The whole of an answer that is not streamed; BoundaryError `engine_garbage` beyond MAX_ANSWER_BYTES."""
    body = await _read(response, MAX_ANSWER_BYTES + 1)
    if len(body) > MAX_ANSWER_BYTES:
        raise garbage(f"more than {MAX_ANSWER_BYTES} bytes")
    return body


async def _lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """What came, up to its last whole line: of a line that breaks off nothing is shown."""
    rest = b""
    async for part in response.content.iter_any():
        whole, end, rest = (rest + part).rpartition(b"\n")
        if len(rest) > _MAX_LINE:
            raise garbage(f"a line of more than {_MAX_LINE} bytes")
        if end:
            yield whole + end
    if rest:
        yield rest


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, cut at `limit` bytes."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) >= limit:
            break
    return bytes(body[:limit])
