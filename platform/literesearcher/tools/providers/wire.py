"""The HTTP wire to providers that the operator named: one pooled session, one try a call, nothing followed.

Owns: time and size limits of a provider's answer, and the translation of its failures that holds for every provider; a
provider whose statuses mean something else hands in a `Judge`. Refuses to know: what is asked. A provider's base URL
may be anywhere; targets that the model named never come here as URLs to open.
Errors are made of the provider's name and a status, never of the URL (which may hold a token) nor of what the provider
wrote (which may repeat it), and carry no cause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import aiohttp
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock
from literesearcher.timing.retry import retry_after_seconds

MAX_BYTES = 20_000_000
MAX_JSON_BYTES = 4_000_000
"""Of a list of results, which is read on the event loop; ten with long extracts are a hundredth of it."""
MAX_REFUSAL_BYTES = 16_384
REFUSAL_SECONDS = 5.0
"""How much of a refusal is read, and for how long, to learn what it is about."""
USER_AGENT = "LiteResearcher/0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer, read whole. `headers` are looked up in any case of letters."""

    body: bytes
    content_type: str
    charset: str | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of 400 or above. `body`: its beginning, empty where it could not be read."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def says(self, *words: bytes) -> bool:
        """Does the body hold one of the words, in any case of letters?"""
        text = self.body.lower()
        return any(word.lower() in text for word in words)


Judge = Callable[[Refusal], BoundaryError | None]
"""What a provider makes of a refusal; None leaves it to the common translation."""


def quota_spent(provider: str) -> BoundaryError:
    """The account has no credits left: final until somebody pays, and never to be read as "nothing found"."""
    return BoundaryError(f"{provider}: the account's quota is spent", code="provider_quota")


def key_refused(provider: str) -> BoundaryError:
    """The key is unknown, revoked, or not good for this request."""
    return BoundaryError(f"{provider} refused the key", code="provider_unauthorized")


class Wire:
    """A session that lives as long as the proxy; opened at the first call, inside its event loop."""

    def __init__(self, *, clock: Clock, connections: int = 256) -> None:
        self._clock = clock
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        provider: str,
        method: str,
        url: URL,
        *,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int = MAX_BYTES,
        judge: Judge | None = None,
    ) -> Answer:
        """One call. `BoundaryError` on no connection, time out, redirect, 4xx, 5xx, or an answer over `max_bytes`."""
        answer: Answer | BoundaryError
        try:
            timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=min(10.0, timeout_seconds))
            async with self._open().request(
                method, url, data=body, headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                if 200 <= response.status < 300:
                    answer = await _read(provider, response, max_bytes)
                else:
                    answer = await _refused(provider, response, judge, self._clock.now())
        except TimeoutError:
            answer = BoundaryError(f"{provider} took too long", code="provider_timeout", transient=True)
        except (aiohttp.ClientConnectionError, OSError) as error:
            answer = BoundaryError(
                f"{provider} cannot be reached ({type(error).__name__})",
                code="provider_unreachable",
                transient=not isinstance(error, aiohttp.ClientConnectorCertificateError),
            )
        except (aiohttp.ClientError, ValueError) as error:
            answer = BoundaryError(
                f"{provider} gave half an answer or garbage ({type(error).__name__})",
                code="provider_garbage",
                transient=True,
            )
        # Raised out here so that no traceback or __context__ holds the client's own error with the URL in it.
        if isinstance(answer, BoundaryError):
            raise answer
        return answer

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                max_line_size=32_768,
                max_field_size=32_768,
            )
        return self._session

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""
        if self._session is not None:
            await self._session.close()


async def _read(provider: str, response: aiohttp.ClientResponse, max_bytes: int) -> Answer | BoundaryError:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            return BoundaryError(f"{provider} sent more than {max_bytes} bytes", code="provider_too_large")
        chunks.append(chunk)
    return Answer(b"".join(chunks), response.content_type, response.charset, response.headers)


async def _refused(
    provider: str, response: aiohttp.ClientResponse, judge: Judge | None, now: datetime
) -> BoundaryError:
    if judge is not None and response.status >= 400:
        judged = judge(Refusal(response.status, response.headers, await _beginning(response)))
        if judged is not None:
            told = retry_after_seconds(response.headers.get("Retry-After"), now)
            if judged.transient and told is not None:
                judged.retry_after = told
            return judged
    status = response.status
    if status == 402:
        return quota_spent(provider)
    if status in (401, 403):
        return key_refused(provider)
    if status == 429 or status >= 500:
        code, transient = ("provider_busy" if status in (429, 503) else "provider_error"), True
    elif status == 408:
        code, transient = "provider_timeout", True
    else:
        code, transient = "provider_rejected", False
    wait = retry_after_seconds(response.headers.get("Retry-After"), now) if transient else None
    return BoundaryError(f"{provider} answered {status}", code=code, transient=transient, retry_after=wait)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """A refusal that cannot be read is judged by its status."""
    body = bytearray()
    try:
        async with asyncio.timeout(REFUSAL_SECONDS):
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) >= MAX_REFUSAL_BYTES:
                    break
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    return bytes(body[:MAX_REFUSAL_BYTES])
