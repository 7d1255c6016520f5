"""What a URL that the model named may reach, by its text and by what its name resolves to."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.tools.perimeter.guard import Guard, RefusedTarget


def resolving(**names: list[str]) -> Guard:
    """A guard whose DNS holds these names (`_` stands for a dot)."""
    table = {name.replace("_", "."): addresses for name, addresses in names.items()}

    async def resolve(host: str) -> list[str]:
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return table[host]

    return Guard(resolve=resolve)


REFUSED = [
    # schemes
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "data:text/html,x",
    "pydoc:os",
    "corpus:notes/a.md",
    "//example.com/",
    "example.com",
    "",
    "http://",
    "http:///x",
    "http:example.com",
    # credentials
    "http://user@example.com/",
    "http://user:pass@example.com/",
    "http://:pass@example.com/",
    "http://example.com@127.0.0.1/",
    "http://@example.com/",
    # ports
    "http://example.com:22/",
    "http://example.com:0/",
    "http://example.com:25/",
    "http://example.com:6379/",
    "http://example.com:10250/",
    "http://example.com:99999/",
    "http://example.com:80a/",
    # loopback, this network, private, CGNAT, link-local, metadata
    "http://127.0.0.1/",
    "http://127.8.9.1/",
    "http://127.0.0.1./",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://169.254.169.254/latest/meta-data/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.7/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    # other spellings of an IPv4 address
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://1.1.1.01/",
    "http://0x/",
    "http://134744072/",
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "http://①②⑦.0.0.1/",
    "http://127.0.0.1%2f.example.com/",
    "http://example.com%00.internal/",
    # IPv6
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[::127.0.0.1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:db8::1]/",
    "http://[100::1]/",
    # names of the inside
    "http://localhost/",
    "http://LOCALHOST./",
    "http://ⓛocalhost/",
    "http://a.localhost/",
    "http://redis/",
    "http://kubernetes.default.svc/",
    "http://kubernetes.default.svc.cluster.local/",
    "http://metadata.google.internal/",
    "http://printer.local/",
    "http://wiki.corp/",
    "http://nas.home.arpa/",
    "http://router.lan/",
    "http://x.onion/",
    # not names at all
    "http://a..example.com/",
    "http://.example.com/",
    "http://-a.example.com/",
    "http://exa mple.com/",
    "http://example.com\\@127.0.0.1/",
    "http://exam\nple.com/",
    "http://exam\tple.com/",
    "http://example.com/\x00",
    "http://" + "a." * 200 + "com/",
    "http://example.com/" + "a" * 9000,
    "http://[::1",
    "http://]/",
]


@pytest.mark.parametrize("url", REFUSED)
async def test_refused_by_its_text(url):
    guard = resolving()
    with pytest.raises(RefusedTarget):
        guard.target(url)
    with pytest.raises(RefusedTarget):
        await guard.check_for_remote_reader(url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://en.wikipedia.org/wiki/Nature_(journal)#Publication", "en.wikipedia.org"),
        ("HTTP://Example.COM", "example.com"),
        (" http://example.com:8080/a b?q=1 ", "example.com"),
        ("https://zh.wikipedia.org/wiki/从你的全世界路过", "zh.wikipedia.org"),
        ("https://bücher.example.com/ä", "xn--bcher-kva.example.com"),
        ("http://8.8.8.8/", "8.8.8.8"),
        ("http://[2606:4700:4700::1111]:443/", "2606:4700:4700::1111"),
        ("http://a_b.example.com/?@127.0.0.1", "a_b.example.com"),
        ("http://example.com./", "example.com."),
    ],
)
def test_a_public_website_passes(url, host):
    assert resolving().target(url).raw_host == host


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["::1"], ["fe80::1%2"], ["garbage"], ["::ffff:127.0.0.1"]],
)
async def test_a_name_must_resolve_to_public_addresses_only(addresses):
    guard = resolving(www_example_com=addresses)
    with pytest.raises(RefusedTarget):
        await guard.addresses("www.example.com")
    with pytest.raises(RefusedTarget):
        await guard.check_for_remote_reader("https://www.example.com/")


async def test_a_name_that_does_not_resolve_passes_to_a_remote_reader_only():
    guard = resolving(empty_example_com=[])
    assert (await guard.check_for_remote_reader("https://nowhere.example.com/x")).path == "/x"
    for host in ("nowhere.example.com", "empty.example.com"):
        with pytest.raises(BoundaryError) as caught:
            await guard.addresses(host)
        assert caught.value.code == "host_unresolved"


async def test_what_passed_to_a_remote_reader_is_remembered_but_never_for_a_connection():
    asked = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["93.184.215.14"] if len(asked) == 1 else ["10.0.0.1"]

    guard = Guard(resolve=resolve)
    for _ in range(3):
        await guard.check_for_remote_reader("https://www.example.com/")
    assert len(asked) == 1
    with pytest.raises(RefusedTarget):
        await guard.addresses("www.example.com")
    for _ in range(2):
        with pytest.raises(RefusedTarget):
            await guard.check_for_remote_reader("https://other.example.com/")
    assert len(asked) == 4, "a refusal is not remembered"


async def test_a_slow_name_is_given_up():
    async def resolve(host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    guard = Guard(resolve=resolve, resolve_seconds=0.01)
    with pytest.raises(BoundaryError):
        await guard.addresses("slow.example.com")


async def test_the_system_resolver_does_not_hold_the_loop(monkeypatch):
    """A blocking lookup runs beside the loop, and a name whose answer came after the limit is asked for again."""
    import threading

    release = threading.Event()

    def getaddrinfo(*_args, **_kwargs):
        release.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    guard = Guard(resolve_seconds=0.05)
    try:
        with pytest.raises(BoundaryError):
            await guard.addresses("www.example.com")
        release.set()
        found: list[str] = []
        async with asyncio.timeout(60):
            while not found:
                await asyncio.sleep(0.01)
                with contextlib.suppress(BoundaryError):
                    found = await guard.addresses("www.example.com")
        assert found == ["93.184.215.14"]
    finally:
        release.set()
        guard.close()
        guard.close()
