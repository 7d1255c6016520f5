"""No spelling of an address that is not public gets past the guard, and what is public gets past it in its plain form.

The networks are listed here again, apart from the guard's own lists, so that a gap there is a failure here. The
resolver reads numbers as the C library does, so that a spelling which the guard took for a name would be an address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from literesearcher.errors import BoundaryError
from literesearcher.tools.perimeter.guard import Guard, RefusedTarget
from literesearcher.tools.perimeter.intranet import Intranet

INSIDE_V4 = {
    "this network": "0.0.0.0/8",
    "private 10": "10.0.0.0/8",
    "private 172": "172.16.0.0/12",
    "private 192": "192.168.0.0/16",
    "CGNAT": "100.64.0.0/10",
    "loopback": "127.0.0.0/8",
    "link-local": "169.254.0.0/16",
    "metadata": "169.254.169.254/32",
    "metadata of Alibaba": "100.100.100.200/32",
    "agent of Azure": "168.63.129.16/32",
    "metadata of Oracle": "192.0.0.192/32",
    "6to4 relays": "192.88.99.0/24",
    "documentation": "203.0.113.0/24",
    "benchmarks": "198.18.0.0/15",
    "multicast": "224.0.0.0/4",
    "reserved": "240.0.0.0/4",
}
INSIDE_V6 = {
    "unspecified": "::/128",
    "loopback": "::1/128",
    "link-local": "fe80::/10",
    "unique local": "fc00::/7",
    "metadata": "fd00:ec2::254/128",
    "site-local": "fec0::/10",
    "multicast": "ff00::/8",
    "discard": "100::/64",
    "documentation": "2001:db8::/32",
    "Teredo": "2001::/32",
    "6to4": "2002::/16",
    "NAT64": "64:ff9b::/96",
    "local NAT64": "64:ff9b:1::/48",
    "mapped": "::ffff:0:0/96",
    "compatible": "::/96",
    "translated": "::ffff:0:0:0/96",
}


PUBLIC = ["1.0.0.0/8", "8.8.0.0/16", "93.184.0.0/16", "193.0.0.0/8", "2400::/12", "2600::/12", "2a00::/12"]


def within(networks: dict[str, str]) -> st.SearchStrategy:
    return st.sampled_from(sorted(networks.values())).flatmap(lambda net: st.ip_addresses(network=net))


def part(number: int, base: str) -> str:
    return {"decimal": f"{number}", "octal": f"0{number:o}", "hex": f"0x{number:x}", "padded": f"{number:03d}"}[base]


@st.composite
def numbers(draw, address: ipaddress.IPv4Address) -> str:
    """The address as `inet_aton` reads it: one to four parts, each in a base of its own."""
    packed = int(address)
    count = draw(st.integers(1, 4))
    firsts = [(packed >> (24 - 8 * at)) & 0xFF for at in range(count - 1)]
    parts = [*firsts, packed & ((1 << (8 * (5 - count))) - 1)]
    bases = st.sampled_from(["decimal", "octal", "hex", "padded"])
    return ".".join(part(number, draw(bases)) for number in parts)


@st.composite
def carried(draw, address: ipaddress.IPv4Address) -> str:
    """The address inside an IPv6 one."""
    packed = int(address)
    form = draw(st.sampled_from(["mapped", "compatible", "nat64", "local nat64", "6to4", "teredo", "isatap", "dotted"]))
    if form == "dotted":
        return f"[{draw(st.sampled_from(['::ffff:', '::', '64:ff9b::', '0:0:0:0:0:ffff:']))}{address}]"
    value = {
        "mapped": 0xFFFF << 32 | packed,
        "compatible": packed,
        "nat64": 0x64FF9B << 96 | packed,
        "local nat64": 0x64FF9B0001 << 80 | packed,
        "6to4": 0x2002 << 112 | packed << 80,
        "teredo": 0x20010000 << 96 | packed ^ 0xFFFFFFFF,
        "isatap": 0xFE80 << 112 | 0x5EFE << 32 | packed,
    }[form]
    shown = ipaddress.IPv6Address(value)
    return f"[{draw(st.sampled_from([shown.compressed, shown.exploded, shown.exploded.upper()]))}]"


@st.composite
def hosts(draw) -> str:
    """Hosts that mean an address of the inside to some parser or other."""
    if draw(st.booleans()):
        six = draw(within(INSIDE_V6))
        host = draw(st.sampled_from([six.compressed, six.exploded, six.exploded.upper()]))
        zone = draw(st.sampled_from(["", "", "%eth0", "%25eth0", "%1"]))
        return f"[{host}{zone}]"
    address = draw(within(INSIDE_V4))
    host = draw(st.one_of(st.just(str(address)), numbers(address), carried(address)))
    if host.startswith("["):
        return host
    disguise = draw(
        st.sampled_from(["no", "no", "full width", "circled", "percent", "dots", "dot", "two dots", "upper"])
    )
    if disguise == "full width":
        return "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in host)
    if disguise == "circled":
        return "".join("⓪①②③④⑤⑥⑦⑧⑨"[int(c)] if c.isdigit() else c for c in host)
    if disguise == "percent":
        return "".join(f"%{ord(c):02x}" for c in host)
    if disguise == "dots":
        return host.replace(".", draw(st.sampled_from(["。", "．", "｡"])))
    return host + {"dot": ".", "two dots": ".."}.get(disguise, "") if disguise != "upper" else host.upper()


@st.composite
def urls(draw) -> str:
    """URLs that some client or other opens at such a host."""
    host = draw(hosts())
    scheme = draw(st.sampled_from(["http", "https", "HTTP", "hTtPs"]))
    slashes = draw(st.sampled_from(["//", "//", "//", "/\\", "\\\\", "///", "/"]))
    user = draw(
        st.sampled_from(
            ["", "", "", "user@", "user:secret@", "example.com@", "example.com:80@", "example.com\\@", "@", ":@",
             "example.com%40", "example.com%2f@", "example.com#@", "example.com?@"]
        )
    )  # fmt: skip
    port = draw(st.sampled_from(["", "", ":", ":80", ":443", ":8080", ":080", ":65616", ":22"]))
    tail = draw(st.sampled_from(["", "/", "/x?y=1", "?q", "#f", "\\", "/..//", "/%0d%0aHost:x"]))
    url = f"{scheme}:{slashes}{user}{host}{port}{tail}"
    junk = draw(st.sampled_from(["", "", "", "\t", "\n", "\r", "\x00", " ", "\u200b", "\u00ad", "\ufeff"]))
    at = draw(st.integers(0, len(url)))
    return url[:at] + junk + url[at:]


async def system(host: str) -> list[str]:
    """Numbers as the C library reads them; every name is a public site."""
    try:
        return [socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))]
    except OSError:
        if host.replace(".", "").isdigit() or ":" in host:
            raise
        return ["93.184.215.14"]


def reached(guard: Guard, url: str, *, tenant_id: str = "") -> list[str]:
    """Where a fetch of this URL would connect to; nowhere where it is refused."""

    async def ask() -> list[str]:
        try:
            target = guard.target(url, tenant_id=tenant_id)
            return await guard.addresses(target.raw_host or "", tenant_id=tenant_id)
        except (RefusedTarget, BoundaryError):
            return []

    return asyncio.run(ask())


def is_inside(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    listed = (*INSIDE_V4.values(), *INSIDE_V6.values())
    networks = [ipaddress.ip_network(net) for net in listed]
    return any(parsed.version == net.version and parsed in net for net in networks)


@settings(max_examples=1500, deadline=None)
@given(urls())
@example("http://①②⑦.0.0.1/")
@example("http://0x7f。1/")
@example("http://[::ffff:7f00:1%25lo]/")
def test_no_spelling_of_the_inside_is_reached(url):
    for address in reached(Guard(resolve=system), url):
        assert not is_inside(address), url


@settings(max_examples=500, deadline=None)
@given(hosts())
def test_no_plain_url_of_such_a_host_is_reached_at_all(host):
    """Without tricks around it, so that nothing but the host can be what refuses it."""
    assert reached(Guard(resolve=system), f"http://{host}/") == []


@settings(max_examples=300, deadline=None)
@given(urls(), hosts())
def test_a_remote_reader_is_given_none_either(url, host):
    async def ask(text: str, *, self_hosted: bool) -> str | None:
        try:
            return (await Guard(resolve=system).check_for_remote_reader(text, self_hosted=self_hosted)).raw_host
        except RefusedTarget:
            return None

    for self_hosted in (False, True):
        assert asyncio.run(ask(f"http://{host}/", self_hosted=self_hosted)) is None
        given_to = asyncio.run(ask(url, self_hosted=self_hosted))
        if given_to is not None:
            assert not is_inside(asyncio.run(system(given_to))[0]), url


@settings(max_examples=300, deadline=None)
@given(hosts(), st.sampled_from(["10.1.0.0/16", "172.20.0.0/14", "fd12::/16", ".corp.example", "wiki"]))
def test_a_list_for_one_tenant_opens_nothing_for_another_and_no_spelling_but_the_plain_one(host, entry):
    guard = Guard(resolve=system, intranet=Intranet({"a": [entry]}))
    assert reached(guard, f"http://{host}/", tenant_id="b") == []
    for address in reached(guard, f"http://{host}/", tenant_id="a"):
        assert ipaddress.ip_address(address) in ipaddress.ip_network(entry)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PUBLIC).flatmap(lambda net: st.ip_addresses(network=net)))
def test_a_public_address_is_reached_in_its_plain_form(address):
    host = f"[{address}]" if address.version == 6 else str(address)
    for url in (f"http://{host}/", f"https://{host}:8443/x?y#z"):
        assert reached(Guard(resolve=system), url) == [str(address)]


@pytest.mark.parametrize("entry", ["10.0.0.0/8", "100.64.0.0/10", "fc00::/7"])
def test_no_list_opens_metadata(entry):
    guard = Guard(resolve=system, intranet=Intranet({"*": [entry]}))
    for host in ("100.100.100.200", "[fd00:ec2::254]", "[fd20:ce::254]", "169.254.169.254", "127.0.0.1", "[::1]"):
        assert reached(guard, f"http://{host}/", tenant_id="a") == []
    assert reached(guard, "http://10.1.2.3/", tenant_id="a") == (["10.1.2.3"] if entry == "10.0.0.0/8" else [])
