"""What is this server's own: names of this machine, the Host of a request, and requests that another site's page sends.

Owns: the rules by which every HTTP border here keeps pages in somebody's browser away; pure functions of header values.
Refuses to know: HTTP libraries, keys, what a refusal looks like. Above: `gateway.border`, `gateway.auth`,
`tools.service.access`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

WILDCARDS = frozenset({"0.0.0.0", "::", ""})
"""Addresses to listen on that name no machine."""
_FOREIGN = frozenset({"cross-site", "same-site"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Is a name, or an address to listen on or to come from, this machine's alone?"""
    name = host.strip().strip("[]").lower().removesuffix(".")
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    # IPv4 through an IPv6 socket; not every Python counts it.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def host_name(host: str) -> str | None:
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
    return name if name not in WILDCARDS else None


def from_another_site(host: str, origins: Iterable[str], fetch_sites: Iterable[str]) -> bool:
    """Does a page of another site send this? By the Host, each Origin and each Sec-Fetch-Site of a request."""
    if any(site.strip().lower() in _FOREIGN for site in fetch_sites):
        return True
    return not all(_same_origin(origin, host) for origin in origins)


def _same_origin(origin: str, host: str) -> bool:
    """Does an Origin name the host and port that the request was sent to? TLS may end before us."""
    try:
        parts = urlsplit(origin)
        default = _DEFAULT_PORTS.get(parts.scheme)
        if default is None or parts.hostname is None or parts.username is not None:
            return False
        if parts.path or parts.query or parts.fragment:
            return False
        target = urlsplit(f"//{host}")
        return parts.hostname == target.hostname and (parts.port or default) == (target.port or default)
    except ValueError:
        return False
