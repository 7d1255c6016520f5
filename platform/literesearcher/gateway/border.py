"""The outermost layer: what every request must be before a route sees it, and what every answer carries.

Keeps pages in somebody's browser away from a server that asks for no key: a Host that is not this server's name (DNS
rebinding) is 421, a request that another site's page sends is 403, on every route; there are no CORS headers. Also:
body size and time, HEAD as GET without its body, and the answer to an error that nobody foresaw. A plain ASGI
middleware, so that streams pass through untouched. Refuses to know: routes, tenants.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from literesearcher.errors import CallerError, LiteResearcherError, Unauthorized
from literesearcher.gateway.auth import is_loopback
from literesearcher.gateway.problems import problem_of, unexpected
from literesearcher.settings.sections import GatewaySection

log = logging.getLogger("literesearcher.gateway")

MAX_BODY_BYTES = 2 * 1024 * 1024
"""The longest question (100,000 characters) fits even where each is written as two JSON escapes of six bytes."""
_DISCARD_BYTES = 16 * 1024 * 1024
"""So much of a refused body is read and dropped, so that its sender gets to read the answer."""
_BODY_SECONDS = 30.0
"""Time for a whole request body to arrive."""

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS = frozenset({"0.0.0.0", "::", ""})
_FOREIGN = frozenset({"cross-site", "same-site"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Border:
    """See the module."""

    def __init__(self, app: ASGIApp, *, gateway: GatewaySection, body_seconds: float = _BODY_SECONDS) -> None:
        self._app = app
        self._names = _LOOPBACK_NAMES | {name for one in (gateway.host, *gateway.names) if (name := _name(one))}
        self._any_address = gateway.host in _WILDCARDS
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        path = scope["path"]
        body = _Body(receive, self._body_seconds)
        outgoing = _headers_only(answer) if scope["method"] == "HEAD" else answer
        try:
            headers = Headers(scope=scope)
            self._check_host(headers)
            _check_site(headers)
            body.check_length(headers)
            if scope["method"] == "HEAD":
                await self._app({**scope, "method": "GET"}, _nothing_more(body.receive), outgoing)
            else:
                await self._app(scope, body.receive, outgoing)
        except ClientDisconnect:
            return
        except LiteResearcherError as error:
            if started:
                raise
            await body.discard()
            await problem_of(error, path=path)(scope, receive, outgoing)
        except Exception:
            log.exception("%s %s failed", scope["method"], path)
            if started:
                raise
            await unexpected(path=path)(scope, receive, outgoing)

    def _check_host(self, headers: Headers) -> None:
        """A request that carries a key is not checked: a page elsewhere cannot know one, and a wrong one is a 401."""
        if "authorization" in headers or "x-api-key" in headers:
            return
        hosts = headers.getlist("host")
        name = _name(hosts[0]) if len(hosts) == 1 else None
        if name is not None and (name in self._names or is_loopback(name)):
            return
        if name is not None and self._any_address and _is_address(name):
            # Bound to every address: a page that was served under a bare address was served by this machine.
            return
        raise CallerError(
            "this server does not answer to that Host: send an API key, or add the name to "
            "LITERESEARCHER_GATEWAY__NAMES",
            code="misdirected_request",
            field="Host",
        )


def _check_site(headers: Headers) -> None:
    """Another site's page may send nothing here, key or no key."""
    foreign = any(site.strip().lower() in _FOREIGN for site in headers.getlist("sec-fetch-site"))
    if not foreign and all(_same_origin(origin, headers.get("host", "")) for origin in headers.getlist("origin")):
        return
    raise Unauthorized("a page of another site may not use this server", code="cross_site")


def _same_origin(origin: str, host: str) -> bool:
    """Does an Origin name the host and port that the request was sent to? TLS may end before us."""
    try:
        parts = urlsplit(origin)
        default = _DEFAULT_PORTS.get(parts.scheme)
        if default is None or parts.hostname is None or parts.username is not None or parts.path:
            return False
        target = urlsplit(f"//{host}")
        return parts.hostname == target.hostname and (parts.port or default) == (target.port or default)
    except ValueError:
        return False


def _name(host: str) -> str | None:
    """The name in a Host header or a setting, lower case, without port, brackets and last dot; None for none."""
    try:
        name = str(ipaddress.ip_address(host))
    except ValueError:
        try:
            parts = urlsplit(f"//{host}")
            _ = parts.port
        except ValueError:
            return None
        if parts.netloc != host or "@" in host or parts.hostname is None:
            return None
        name = parts.hostname.removesuffix(".")
    return name if name not in _WILDCARDS else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class _Body:
    """The request's body as it arrives, counted and timed."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._deadline: float | None = None
        self._read = 0
        self._more = True

    def check_length(self, headers: Headers) -> None:
        """Refuse by what is announced, before anything is read."""
        announced = headers.get("content-length", "0")
        if not announced.isdecimal():
            raise CallerError("Content-Length must be a number", code="bad_request", field="Content-Length")
        if int(announced[:20]) > MAX_BODY_BYTES:
            raise _too_large()

    async def receive(self) -> Message:
        """The next message; `CallerError` when the body is too long or too slow."""
        if not self._more:
            return await self._receive()
        loop = asyncio.get_running_loop()
        if self._deadline is None:
            self._deadline = loop.time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise CallerError("the request body took too long to arrive", code="request_timeout") from None
        self._note(message)
        if self._read > MAX_BODY_BYTES:
            raise _too_large()
        return message

    async def discard(self) -> None:
        """Read the rest of a refused body, within bounds: closing on an unread body resets the connection, and the
        sender would never see the answer."""
        try:
            async with asyncio.timeout(self._seconds):
                while self._more and self._read < _DISCARD_BYTES:
                    self._note(await self._receive())
        except TimeoutError:
            return

    def _note(self, message: Message) -> None:
        self._read += len(message.get("body", b""))
        self._more = message["type"] == "http.request" and bool(message.get("more_body", False))


def _too_large() -> CallerError:
    return CallerError(f"the request body may hold {MAX_BODY_BYTES} bytes", code="body_too_large")


def _headers_only(send: Send) -> Send:
    """Pass the head of an answer, and an empty body."""
    ended = False

    async def head(message: Message) -> None:
        nonlocal ended
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            ended = True
        elif not ended:
            await send(message)

    return head


def _nothing_more(receive: Receive) -> Receive:
    """After the request itself, say that the client is gone: a stream that answers HEAD then ends."""
    asked = False

    async def once() -> Message:
        nonlocal asked
        if asked:
            return {"type": "http.disconnect"}
        asked = True
        return await receive()

    return once
