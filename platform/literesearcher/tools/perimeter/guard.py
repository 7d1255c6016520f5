"""The URL guard: what a URL that the model named may reach.

Owns: the check of a URL (scheme, credentials, port, host), of the addresses it resolves to, and the connector that
can only connect to addresses checked. Refuses to know: HTTP, pages, providers, provider base URLs (the operator's).
Above: `providers.direct` (checked at every hop, connected through `connector`), and the remote readers. Below:
`addresses` (what is public), `intranet` (what a tenant may reach beside that; every check is by tenant), `lookups`.

yarl both checks and opens the URL, so that no second parser reads it differently. The address that was checked is the
one connected to: the connector's only resolver is this one, its DNS cache is off, and nothing resolves again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from literesearcher.errors import BoundaryError, CallerError
from literesearcher.timing.clock import Clock, SystemClock
from literesearcher.tools.perimeter.addresses import Address, is_public, is_public_name, literal
from literesearcher.tools.perimeter.intranet import NOWHERE, Intranet, Perimeter, can_be_opened
from literesearcher.tools.perimeter.lookups import Lookups
from literesearcher.tools.sources.domains import deceives

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Addresses of a name, as text; OSError where there are none."""

MAX_URL_CHARACTERS = 8192
# fmt: off
REFUSED_PORTS = frozenset({
    1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 4369, 5432, 5672, 5900,
    5984, 6379, 6443, 7001, 8500, 9042, 9092, 9200, 9300, 10250, 10255, 11211, 27017,
})
# fmt: on
"""Ports from 1024 up on which databases and control planes answer, not websites."""


_REMEMBERED_SECONDS = 60.0
_REMEMBERED_HOSTS = 4096
_ASKING: ContextVar[str] = ContextVar("asking_tenant", default="")
"""Whose page is being fetched: a connection is opened deep inside the HTTP client, for tenants of one reach alike."""
_AUTHORITY_END = re.compile(r"(?<![:/])[/?#]")


class RefusedTarget(CallerError):
    """The model named a URL that may not be fetched. It reads it as a page that could not be accessed."""

    default_code = "refused"


class Guard:
    """Checks targets. `resolve`, `address_allowed` and `address_openable` are handed in by tests only."""

    def __init__(
        self,
        *,
        intranet: Intranet | None = None,
        resolve: Resolve | None = None,
        address_allowed: Callable[[Address], bool] = is_public,
        address_openable: Callable[[Address], bool] = can_be_opened,
        resolve_seconds: float = 3.0,
        clock: Clock | None = None,
    ) -> None:
        self._intranet = intranet or Intranet()
        self._lookups = Lookups(clock=clock or SystemClock(), seconds=resolve_seconds)
        self._resolve = resolve
        self._public = address_allowed
        self._openable = address_openable
        self._seconds = resolve_seconds
        self._passed: dict[str, float] = {}

    def target(self, text: str, *, tenant_id: str = "") -> URL:
        """The URL as it may be opened for the tenant, judged by its text alone. Raises `RefusedTarget`."""
        return self._target(text, self._intranet.of(tenant_id))

    def _target(self, text: str, perimeter: Perimeter) -> URL:
        if len(text) > MAX_URL_CHARACTERS:
            raise RefusedTarget("the URL is too long")
        text = text.strip()
        if any(ord(char) < 32 or ord(char) == 127 for char in text):
            raise RefusedTarget("the URL holds control characters")
        authority = _AUTHORITY_END.split(text, 1)[0]
        try:
            url = URL(text)
            host, port = url.raw_host, url.port
        except ValueError:
            raise RefusedTarget("the URL cannot be read") from None
        if url.scheme not in ("http", "https"):
            raise RefusedTarget("only http and https URLs are fetched")
        if not host:
            raise RefusedTarget("the URL has no host")
        if url.raw_user is not None or url.raw_password is not None or "@" in authority:
            raise RefusedTarget("the URL holds credentials")
        if port not in (80, 443) and (port is None or port < 1024 or port in REFUSED_PORTS):
            raise RefusedTarget("the port is not one of a website")
        if deceives(authority.partition("://")[2]):
            raise RefusedTarget("the host mixes scripts to look like another")
        self._check_host(host, perimeter)
        return url

    def _check_host(self, host: str, perimeter: Perimeter) -> Address | None:
        name = host.lower().removesuffix(".")
        try:
            address = literal(name)
        except ValueError:
            raise RefusedTarget("the host is a malformed address") from None
        if address is not None:
            if not self._may_reach(address, perimeter, named=False):
                raise RefusedTarget("the address is not public")
        elif not (is_public_name(name) or perimeter.names(name)):
            raise RefusedTarget("the host is not a public name")
        return address

    def _may_reach(self, address: Address, perimeter: Perimeter, *, named: bool) -> bool:
        return self._public(address) or (self._openable(address) and (named or perimeter.holds(address)))

    async def addresses(self, host: str, *, tenant_id: str = "") -> list[str]:
        """Every address of the host, all of them allowed. `RefusedTarget`, or `BoundaryError` `host_unresolved`.

        One address that is not public refuses the whole name: a mixed answer is how rebinding begins.
        """
        return await self._addresses(host, self._intranet.of(tenant_id))

    async def _addresses(self, host: str, perimeter: Perimeter) -> list[str]:
        address = self._check_host(host, perimeter)
        if address is not None:
            return [str(address)]
        try:
            found = list(dict.fromkeys(await self._answers(host)))
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            raise BoundaryError("the host name does not resolve", code="host_unresolved") from None
        if not found:
            raise BoundaryError("the host name does not resolve", code="host_unresolved")
        named = perimeter.names(host.lower().removesuffix("."))
        for text in found:
            try:
                allowed = self._may_reach(ipaddress.ip_address(text), perimeter, named=named)
            except ValueError:
                allowed = False
            if not allowed:
                raise RefusedTarget("the host resolves to an address that is not public")
        return found

    def reach(self, tenant_id: str) -> str:
        """Tenants of one reach may share connections and kept pages: the tenant's id, or "" for all who have no
        entries of their own in `TOOLS__INTRANET`."""
        return self._intranet.reach(tenant_id)

    def is_inside(self, url: URL, peer: str | None, *, tenant_id: str) -> bool:
        """Was this read inside the perimeter? `peer`: the address that answered; unknown counts as inside."""
        perimeter = self._intranet.of(tenant_id)
        if not perimeter:
            return False
        if perimeter.names((url.raw_host or "").removesuffix(".")) or peer is None:
            return True
        try:
            return not self._public(ipaddress.ip_address(peer))
        except ValueError:
            return True

    async def check_for_remote_reader(self, text: str, *, self_hosted: bool = False) -> URL:
        """For a reader elsewhere that opens the URL itself: a name that resolves here must be public.

        One that does not resolve here passes: the reader's network is not ours, and it may know more names. A host
        that passed is not asked about again for a minute: the reader resolves it by itself anyway. A `self_hosted`
        reader may stand in our network and know its names, so for it a name must resolve here, asked anew each time.
        """
        url = self._target(text, NOWHERE)
        host = url.raw_host or ""
        if self._intranet.names(host.removesuffix(".")):
            raise RefusedTarget("the host is inside the perimeter")
        if self_hosted:
            try:
                await self._addresses(host, NOWHERE)
            except BoundaryError:
                raise RefusedTarget("the host does not resolve here, and the reader is self-hosted") from None
            return url
        now = asyncio.get_running_loop().time()
        if self._passed.get(host, 0.0) < now:
            with contextlib.suppress(BoundaryError):
                await self._addresses(host, NOWHERE)
            if len(self._passed) >= _REMEMBERED_HOSTS:
                self._passed.clear()
            self._passed[host] = now + _REMEMBERED_SECONDS
        return url

    def connector(self, *, tenant_id: str = "") -> aiohttp.TCPConnector:
        """A connector that reaches what the tenant may, whoever asks it for which URL. For tenants of one reach only:
        it keeps connections open, and an open one is not checked again. How many pages are fetched at once is the
        governor's to say; a second limit here would use up a page's time in a line that nobody counts."""
        return aiohttp.TCPConnector(
            resolver=_CheckedResolver(self, tenant_id), use_dns_cache=False, limit=0, limit_per_host=8
        )

    @contextlib.contextmanager
    def asked_by(self, tenant_id: str) -> Iterator[None]:
        """Names that are looked up within, in this task and those that it starts, count as this tenant's."""
        token = _ASKING.set(tenant_id)
        try:
            yield
        finally:
            _ASKING.reset(token)

    async def _answers(self, host: str) -> Sequence[str]:
        if self._resolve is None:
            return await self._lookups.addresses(host.lower(), tenant_id=_ASKING.get())
        async with asyncio.timeout(self._seconds):
            return await self._resolve(host)

    def close(self) -> None:
        """Let the resolving threads go. Safe to call twice."""
        self._lookups.close()


class _CheckedResolver(AbstractResolver):
    def __init__(self, guard: Guard, tenant_id: str) -> None:
        self._guard = guard
        self._tenant = tenant_id

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self._guard.addresses(host, tenant_id=self._tenant)
        ]

    async def close(self) -> None:
        return None
