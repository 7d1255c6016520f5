"""The tool proxy over HTTP: implements `tools.port.Tools` for a process that does not hold the proxy itself.

Owns: one pooled session, the translation of failures. Refuses to know: what the tools do. The server is
`tools.server`; results are the same to the byte. Cancelling a call closes it, and the server cancels its parts.
"""

from __future__ import annotations

import aiohttp
from pydantic import SecretStr
from yarl import URL

from literesearcher.errors import BoundaryError
from literesearcher.tools.port import ToolRequest, ToolResult
from literesearcher.tools.wire_form import decode_result, encode

_GRACE_SECONDS = 10.0
"""Beyond the call's own deadline, at which the server answers with what it has."""


class HttpTools:
    """A proxy behind `base_url` (`http://tools:8001`)."""

    def __init__(self, base_url: str, token: SecretStr | str | None = None, *, connections: int = 512) -> None:
        self._url = URL(base_url.rstrip("/") + "/v1/tools/call")
        self._token = SecretStr(token) if isinstance(token, str) else token
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def call(self, request: ToolRequest) -> ToolResult:
        """One call. `BoundaryError` `tools_unreachable`, `tools_timeout`, `tools_rejected` or `tools_error`."""
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        total = request.ask.timeout_seconds + _GRACE_SECONDS
        try:
            timeout = aiohttp.ClientTimeout(total=total, sock_connect=min(10.0, total))
            async with self._open().post(
                self._url, data=encode(request), headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                body = await response.read()
                if response.status == 200:
                    return decode_result(body)
                raise _refusal(response)
        except TimeoutError:
            raise BoundaryError("the tool proxy took too long", code="tools_timeout", transient=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise BoundaryError(
                f"the tool proxy cannot be reached ({type(error).__name__})", code="tools_unreachable", transient=True
            ) from None
        except (ValueError, KeyError, TypeError):
            raise BoundaryError("the tool proxy sent no tool result", code="tools_error") from None

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
    if status == 429 or status >= 500:
        return BoundaryError(
            f"the tool proxy answered {status}",
            code="tools_error",
            transient=True,
        )
    return BoundaryError(f"the tool proxy answered {status}", code="tools_rejected")
