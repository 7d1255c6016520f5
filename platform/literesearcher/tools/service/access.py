"""Who may call the tool proxy's HTTP service: whoever has its token, or without one this machine's programs only.

Owns: the token, the loopback rule, and what keeps a page in somebody's browser out. A plain ASGI middleware.
Refuses to know: routes. Nothing is served without a token beyond loopback: the proxy fetches URLs for its caller.
"""

from __future__ import annotations

import hmac

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from literesearcher.errors import ConfigurationError
from literesearcher.settings.own_site import from_another_site, host_name, is_loopback
from literesearcher.settings.sections import ToolsSection
from literesearcher.tools.service.problems import problem

_PROBES = ("/livez", "/readyz")


def require_token_beyond_loopback(section: ToolsSection) -> None:
    """`ConfigurationError` where `tools serve` would listen beyond loopback without a token."""
    if section.token is None and not is_loopback(section.host):
        raise ConfigurationError(
            f"the tools would be served on {section.host} without a token: set LITERESEARCHER_TOOLS__TOKEN, "
            "or LITERESEARCHER_TOOLS__HOST to 127.0.0.1"
        )


class Access:
    """See the module."""

    def __init__(self, app: ASGIApp, *, token: SecretStr | None) -> None:
        self._app = app
        self._token = token.get_secret_value().encode() if token is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["type"] == "http":
            refusal = self._refusal(scope, Headers(scope=scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if from_another_site(headers.get("host", ""), headers.getlist("origin"), headers.getlist("sec-fetch-site")):
            return problem(403, "cross_site", "a page of another site may not use this server")
        if scope["path"] not in _PROBES:
            refusal = self._stranger(scope, headers)
            if refusal is not None:
                return refusal
        if scope["method"] == "POST" and _media_type(headers) != "application/json":
            return problem(415, "unsupported_media_type", "the request body must be application/json")
        return None

    def _stranger(self, scope: Scope, headers: Headers) -> Response | None:
        if self._token is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), self._token):
                return problem(
                    401,
                    "unauthorized",
                    "the service token is missing or wrong",
                    headers={"WWW-Authenticate": 'Bearer realm="literesearcher"'},
                )
            return None
        client = scope.get("client")
        if client is None or not is_loopback(client[0]):
            return problem(403, "loopback_only", "without a service token only this machine is served")
        if not is_loopback(host_name(headers.get("host", "")) or ""):
            return problem(421, "misdirected_request", "this server answers to loopback names only")
        return None


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
