"""Which addresses and host names the public web has. Pure: no DNS, no sockets.

Owns: the rule for an address and for a name. Refuses to know: where they come from. Above: `tools.perimeter.guard`.

`ipaddress.is_global` alone is too generous and differs between Python versions: it calls NAT64, 6to4, multicast and
Azure's host agent public. IPv6 is allowed by exception: global unicast (2000::/3) less what tunnels into IPv4.
"""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(net)
    for net in (
        "0.0.0.0/8",  # this network; 0.0.0.0 reaches loopback
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent
        "169.254.0.0/16",  # link-local; cloud metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved and broadcast
    )
)
_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(net)
    for net in (
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries any IPv4 address
        "3fff::/20",
        "5f00::/16",
    )
)

INTERNAL_SUFFIXES = (
    "localhost",
    "localdomain",
    "local",  # also cluster.local
    "internal",  # also Google's metadata host
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "svc",
    "arpa",
    "onion",
    "invalid",
)
"""Last labels of names that mean something only inside somebody's network."""

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def is_public(address: Address) -> bool:
    """May a fetch go to this address?"""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in net for net in _REFUSED_V4)
    # Mapped, compatible, NAT64, link-local, unique-local, site-local and multicast all lie outside 2000::/3.
    return address in _GLOBAL_UNICAST_V6 and address.is_global and not any(address in net for net in _REFUSED_V6)


def literal(host: str) -> Address | None:
    """The address that a host in canonical form spells, None for a name. ValueError for any other spelling.

    A host whose last label is a number is an IPv4 address to every browser and resolver (`0x7f.1`, `2130706433`,
    `017700000001`), so only the plain dotted form is read and the rest is refused.
    """
    if ":" in host:
        if "%" in host:
            raise ValueError("an address with a zone")
        return ipaddress.IPv6Address(host)
    if _NUMBER.fullmatch(host.rsplit(".", 1)[-1]):
        return ipaddress.IPv4Address(host)
    return None


def is_public_name(host: str) -> bool:
    """Is this (lower-case, IDNA-encoded) name one that the public DNS could hold?"""
    labels = host.split(".")
    if len(host) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    return labels[-1] not in INTERNAL_SUFFIXES
