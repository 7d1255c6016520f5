"""What a tenant's jobs may read inside the perimeter, by the operator's list. Pure: no DNS, no sockets.

Owns: the entries of `TOOLS__INTRANET` (hosts, domains that begin with a dot, networks in CIDR), and which addresses
no list opens. Refuses to know: URLs, ports, connections. Above: `tools.perimeter.guard`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from literesearcher.errors import ConfigurationError
from literesearcher.tools.perimeter.addresses import INTERNAL_SUFFIXES, Address, literal
from literesearcher.tools.sources.domains import host_name, is_public_suffix

EVERY_TENANT = "*"
SETTING = "LITERESEARCHER_TOOLS__INTRANET"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PERIMETERS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(net)
    for net in (
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, as overlay networks use it
        "172.16.0.0/12",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "fc00::/7",
    )
)
"""The only ranges that a list can open."""
_NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(net)
    for net in (
        "100.100.100.200/32",  # Alibaba's metadata
        "fd00:ec2::/32",  # Amazon's metadata, name server and clock
        "fd20:ce::254/128",  # Google's metadata
    )
)
_CLOSED_SUFFIXES = ("localhost", "localdomain", "arpa", "onion", "invalid")


def can_be_opened(address: Address) -> bool:
    """May a list open this address at all? Never loopback, link-local, metadata, multicast, or IPv4 inside IPv6."""
    return any(address in net for net in _PERIMETERS) and not any(address in net for net in _NEVER)


@dataclass(frozen=True, slots=True)
class Perimeter:
    """The entries of one tenant, those of every tenant among them."""

    hosts: frozenset[str] = frozenset()
    domains: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hosts or self.domains or self.networks)

    def names(self, host: str) -> bool:
        """Is this host (lower case, punycode, no dot at the end) listed by its name?"""
        return host in self.hosts or host.endswith(self.domains)

    def holds(self, address: Address) -> bool:
        """Does the address lie in a listed network?"""
        return any(address in net for net in self.networks)

    def joined(self, other: Perimeter) -> Perimeter:
        """Both together."""
        return Perimeter(self.hosts | other.hosts, self.domains + other.domains, self.networks + other.networks)


NOWHERE = Perimeter()


class Intranet:
    """The whole list, by tenant."""

    def __init__(self, entries: Mapping[str, Sequence[str]] | None = None) -> None:
        """ConfigurationError for an entry that is none, named."""
        own = {tenant: _perimeter(tenant, listed) for tenant, listed in (entries or {}).items()}
        self._everybody = own.pop(EVERY_TENANT, NOWHERE)
        self._own = {tenant: perimeter.joined(self._everybody) for tenant, perimeter in own.items() if perimeter}
        self._all = NOWHERE
        for perimeter in (self._everybody, *own.values()):
            self._all = self._all.joined(perimeter)

    def of(self, tenant_id: str) -> Perimeter:
        """What this tenant may reach."""
        return self._own.get(tenant_id, self._everybody)

    def reach(self, tenant_id: str) -> str:
        """Tenants of one reach may share connections and pages: the tenant, or "" for all without entries of their
        own."""
        return tenant_id if tenant_id in self._own else ""

    def names(self, host: str) -> bool:
        """Is this host listed by its name for anybody?"""
        return self._all.names(host)


def _perimeter(tenant: str, listed: Sequence[str]) -> Perimeter:
    if not tenant.strip():
        raise ConfigurationError(f'{SETTING}: a tenant has no name; "*" means every tenant')
    hosts: set[str] = set()
    domains: list[str] = []
    networks: list[Network] = []
    for entry in listed:
        try:
            network = _network(entry)
            if network is not None:
                networks.append(network)
            elif entry.startswith("."):
                domains.append(_domain(entry[1:]))
            else:
                hosts.add(_host(entry))
        except ValueError as error:
            raise ConfigurationError(f"{SETTING}: {entry[:200]!r} of tenant {tenant!r} {error}") from None
    return Perimeter(frozenset(hosts), tuple(domains), tuple(networks))


def _network(entry: str) -> Network | None:
    if "/" not in entry:
        # A number at its end makes it an address to every resolver; literal() takes the plain form only.
        try:
            address = literal(entry)
        except ValueError:
            raise ValueError("is no address in its plain form") from None
        if address is None:
            return None
        network: Network = ipaddress.ip_network(address)
    else:
        try:
            network = ipaddress.ip_network(entry)
        except ValueError:
            raise ValueError("is no network in CIDR form, such as 10.20.0.0/16 (the bits behind it are 0)") from None
    if any(_within(network, never) for never in _NEVER) or not any(_within(network, net) for net in _PERIMETERS):
        raise ValueError("is not within a private range: public, loopback and metadata addresses are not opened")
    return network


def _within(network: Network, other: Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and network.subnet_of(other)
    return isinstance(other, ipaddress.IPv6Network) and network.subnet_of(other)


def _host(entry: str) -> str:
    try:
        host = host_name(entry)
    except ValueError:
        host = ""
    if not host or ":" in host or host.startswith(".") or "*" in host or not _labels(host):
        raise ValueError("is no host name (no scheme, port, path or *)")
    if host.rsplit(".", 1)[-1] in _CLOSED_SUFFIXES:
        raise ValueError("is a name that is never opened")
    return host


def _domain(entry: str) -> str:
    host = _host(entry)
    if is_public_suffix(host) and host not in INTERNAL_SUFFIXES:
        raise ValueError("is a suffix under which anybody may register a name")
    return f".{host}"


def _labels(host: str) -> bool:
    return len(host) <= 253 and all(
        0 < len(label) <= 63 and all(c.isalnum() or c in "-_" for c in label) for label in host.split(".")
    )
