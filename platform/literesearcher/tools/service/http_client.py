"""The tool proxy over HTTP: implements `tools.port.Tools` for a process that does not hold the proxy itself.

Owns: one pooled session, the translation of failures, the remembered price list. Refuses to know: what the tools do.
The server is `tools.service.app`; results are the same to the byte. Cancelling a call closes it, and the server cancels
its parts. Arguments that no proxy could use do not travel: their text is the same here, and JSON could not carry them
all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aiohttp
import orjson
from pydantic import SecretStr
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.tools.arguments import UnusableArguments, usable
from literesearcher.tools.port import ToolRequest, ToolResult
from literesearcher.tools.service.wire_form import MAX_TIMEOUT_SECONDS, decode_result, encode

_GRACE_SECONDS = 10.0
"""Beyond the call's own deadline, at which the server answers with what it has."""
_LIST_SECONDS = 30.0


class HttpTools:
    """A proxy behind `base_url` (`http://tools:8001`)."""

    def __init__(self, base_url: str, token: SecretStr | str | None = None, *, connections: int = 512) -> None:
        self._url = URL(base_url.rstrip("/") + "/v1/tools")
        self._token = SecretStr(token) if isinstance(token, str) else token
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._prices: dict[str, float] | None = None

    async def call(self, request: ToolRequest) -> ToolResult:
        """One call. `BoundaryError` `tools_unreachable` (it was never sent), `tools_lost` and `tools_timeout` (nobody
        knows whether it was carried out), `tools_unauthorized`, `tools_rejected` or `tools_error`."""
        try:
            arguments = usable(request.name, request.arguments)
        except UnusableArguments as error:
            return ToolResult(error.message)
        ask = replace(request.ask, timeout_seconds=min(request.ask.timeout_seconds, MAX_TIMEOUT_SECONDS))
        body = encode(ToolRequest(request.name, arguments, ask))
        answer = await self._ask("POST", self._url / "call", ask.timeout_seconds + _GRACE_SECONDS, body)
        try:
            return decode_result(answer)
        except (ValueError, KeyError, TypeError):
            raise BoundaryError("the tool proxy sent no tool result", code="tools_error") from None

    async def prices(self) -> dict[str, float]:
        """From the proxy, asked once, and again after it was away. Raises as `call`."""
        if self._prices is None:
            self._prices = (await self.described())["prices"]
        return dict(self._prices)

    async def described(self) -> dict[str, Any]:
        """What the proxy says of itself: `tools` (names), `prices` (USD by tool), `fidelity`. Raises as `call`."""
        answer = await self._ask("GET", self._url, _LIST_SECONDS)
        try:
            found = orjson.loads(answer)
            return {
                "tools": [str(tool["function"]["name"]) for tool in found["tools"]],
                "prices": {str(name): float(usd) for name, usd in found["prices"].items()},
                "fidelity": str(found["fidelity"]),
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BoundaryError("what answers there is no tool proxy", code="tools_error") from None

    async def _ask(self, method: str, url: URL, seconds: float, body: bytes | None = None) -> bytes:
        headers = {} if body is None else {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(10.0, seconds))
        try:
            async with self._open().request(
                method, url, data=body, headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                answer = await response.read()
                if response.status == 200:
                    return answer
                raise _refusal(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # Another one may come back in its place.
            self._prices = None
            raise BoundaryError(
                f"the tool proxy cannot be reached ({type(error).__name__})", code="tools_unreachable", transient=True
            ) from None
        except TimeoutError:
            raise BoundaryError("the tool proxy took too long", code="tools_timeout", transient=True) from None
        except (aiohttp.ClientError, OSError) as error:
            self._prices = None
            raise BoundaryError(
                f"the tool proxy left in mid-call ({type(error).__name__})", code="tools_lost", transient=True
            ) from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=30),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""
        if self._session is not None:
            await self._session.close()


def _refusal(response: aiohttp.ClientResponse) -> BoundaryError:
    status = response.status
    if status in (401, 403, 421):
        return BoundaryError(
            f"the tool proxy does not let this process in ({status}): "
            "LITERESEARCHER_TOOLS__TOKEN must be the same here and there",
            code="tools_unauthorized",
        )
    if status == 429 or status >= 500:
        header = response.headers.get("Retry-After", "")
        return BoundaryError(
            f"the tool proxy answered {status}",
            code="tools_error",
            transient=True,
            retry_after=float(header) if header.isdecimal() else None,
        )
    return BoundaryError(f"the tool proxy answered {status}", code="tools_rejected")
