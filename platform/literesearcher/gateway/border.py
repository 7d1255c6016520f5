"""The outermost layer: what every request must be before a route sees it, and what every answer carries.

Keeps pages in somebody's browser away from a server that asks for no key: a Host that is not this server's name (DNS
rebinding) is 421, a request that another site's page sends is 403, on every route but the console's own page, which
holds nothing; there are no CORS headers. Also: body size and time, HEAD as GET without its body, and the answer to an
error that nobody foresaw. A plain ASGI middleware, so that streams pass through untouched. Refuses to know: routes,
tenants.
"""

from __future__ import annotations

import ipaddress
import logging

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from literesearcher.errors import CallerError, LiteResearcherError, Unauthorized
from literesearcher.gateway.openai_errors import OPENAI_PATHS
from literesearcher.gateway.problems import problem_of, unexpected
from literesearcher.gateway.request_body import BODY_SECONDS, MAX_BODY_BYTES, MAX_MODEL_BODY_BYTES, RequestBody
from literesearcher.settings.own_site import WILDCARDS, from_another_site, host_name, is_loopback
from literesearcher.settings.sections import GatewaySection

log = logging.getLogger("literesearcher.gateway")

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Border:
    """See the module."""

    def __init__(self, app: ASGIApp, *, gateway: GatewaySection, body_seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._names = _LOOPBACK_NAMES | {name for one in (gateway.host, *gateway.names) if (name := host_name(one))}
        self._any_address = gateway.host in WILDCARDS
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = unread = False
        path = scope["path"]
        headers = Headers(scope=scope)
        most = MAX_MODEL_BODY_BYTES if path in OPENAI_PATHS else MAX_BODY_BYTES
        body = RequestBody(receive, headers, self._body_seconds, most_bytes=most)

        async def answer(message: Message) -> None:
            nonlocal started, unread
            if message["type"] == "http.response.start":
                started = True
                answered = MutableHeaders(scope=message)
                answered.setdefault("Cache-Control", "no-store")
                answered["X-Content-Type-Options"] = "nosniff"
                unread = message["status"] >= 400 and await body.has_rest()
                if unread:
                    answered["Connection"] = "close"
            elif unread and not message.get("more_body", False):
                # The answer is out, whole, before the rest is read; its end closes the connection.
                await send({**message, "more_body": True})
                await body.drain()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        outgoing = _headers_only(answer) if scope["method"] == "HEAD" else answer
        try:
            if not _is_console(scope, headers):
                self._check_host(headers)
                _check_site(headers)
            body.check_length()
            if scope["method"] == "HEAD":
                await self._app({**scope, "method": "GET"}, _nothing_more(body.receive), outgoing)
            else:
                await self._app(scope, body.receive, outgoing)
        except ClientDisconnect:
            return
        except LiteResearcherError as error:
            if started:
                raise
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
        name = host_name(hosts[0]) if len(hosts) == 1 else None
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


def _is_console(scope: Scope, headers: Headers) -> bool:
    """Is the console's page, or a file of it, asked for? They are the same for everybody, so a page may be opened by a
    link from elsewhere (nothing but a window that shows it: no page can read or frame it) and under any name; what it
    then asks of the API is checked as ever. Other pages may not load its files."""
    if scope["method"] not in ("GET", "HEAD") or headers.getlist("origin"):
        return False
    if scope["path"].startswith("/console/"):
        return not from_another_site("", (), headers.getlist("sec-fetch-site"))
    opened = headers.get("sec-fetch-mode", "navigate") == "navigate" and headers.get("sec-fetch-dest", "document") in (
        "document",
        "empty",
    )
    return scope["path"] == "/" and opened and "text/html" in headers.get("accept", "").lower()


def _check_site(headers: Headers) -> None:
    """Another site's page may send nothing here, key or no key."""
    if from_another_site(headers.get("host", ""), headers.getlist("origin"), headers.getlist("sec-fetch-site")):
        raise Unauthorized("a page of another site may not use this server", code="cross_site")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


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
