"""What a tenant's list opens, and what no list opens."""

from __future__ import annotations

import pytest

from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.tools.perimeter.guard import Guard, RefusedTarget
from literesearcher.tools.perimeter.intranet import Intranet

NAMES = {
    "wiki": ["10.1.0.5"],
    "wiki.corp": ["10.1.0.5"],
    "docs.corp": ["10.9.9.9"],
    "www.example.com": ["10.1.0.7"],
    "lab.example.com": ["172.16.0.9"],
    "mixed.example.com": ["93.184.215.14", "10.1.0.7"],
    "half.example.com": ["10.1.0.7", "10.2.0.7"],
    "rebound.corp": ["127.0.0.1"],
    "cloud.corp": ["169.254.169.254"],
    "alibaba.corp": ["100.100.100.200"],
    "public.example.com": ["93.184.215.14"],
}
LISTS = {
    "lab": ["wiki", "docs.corp", "10.1.0.0/16", "fd12:3456::/32"],
    "net": [".example.com", ".corp"],
    "*": ["192.168.7.7"],
}


async def resolve(host: str) -> list[str]:
    try:
        return NAMES[host.removesuffix(".")]
    except KeyError:
        raise OSError from None


@pytest.fixture
def guard() -> Guard:
    return Guard(resolve=resolve, intranet=Intranet(LISTS))


async def opens(guard: Guard, url: str, tenant_id: str) -> bool:
    try:
        target = guard.target(url, tenant_id=tenant_id)
        return bool(await guard.addresses(target.raw_host or "", tenant_id=tenant_id))
    except (RefusedTarget, BoundaryError):
        return False


@pytest.mark.parametrize(
    ("url", "tenants"),
    [
        ("http://wiki/Page", {"lab"}),
        ("http://WIKI./Page", {"lab"}),
        ("https://docs.corp:8443/", {"lab", "net"}),
        ("http://wiki.corp/", {"net"}),  # its network is listed for `lab`, its name is not public and not listed
        ("http://10.1.200.3/", {"lab"}),
        ("http://10.2.0.1/", set()),
        ("http://[fd12:3456::1]/", {"lab"}),
        ("http://[fd12:3457::1]/", set()),
        ("http://www.example.com/", {"lab", "net"}),  # resolves into a listed network; under a listed domain
        ("http://lab.example.com/", {"net"}),
        ("http://mixed.example.com/", {"lab", "net"}),
        ("http://half.example.com/", {"net"}),  # one of its addresses is in no network of `lab`
        ("http://192.168.7.7/", {"lab", "net", "other", ""}),
        ("http://public.example.com/", {"lab", "net", "other", ""}),
        # never, though the list names them
        ("http://rebound.corp/", set()),
        ("http://cloud.corp/", set()),
        ("http://alibaba.corp/", set()),
        # a list opens hosts, not ports, schemes or credentials
        ("http://wiki:22/", set()),
        ("http://wiki:6379/", set()),
        ("ftp://wiki/", set()),
        ("http://user@wiki/", set()),
        ("http://notwiki/", set()),
        ("http://corp/", set()),
        ("http://10.1.3/", set()),
        ("http://0x0a.1.2.3/", set()),
    ],
)
async def test_a_list_opens_its_own_targets_to_its_own_tenant(guard, url, tenants):
    assert {tenant for tenant in ("lab", "net", "other", "") if await opens(guard, url, tenant)} == tenants


@pytest.mark.parametrize(
    "url", ["http://wiki/", "http://docs.corp/", "http://10.1.2.3/", "http://www.example.com/", "http://192.168.7.7/",
            "http://unknown.corp/", "http://unknown.example.com/", "http://public.example.com/"],
)  # fmt: skip
@pytest.mark.parametrize("self_hosted", [False, True])
async def test_no_listed_target_is_handed_to_a_remote_reader(guard, url, self_hosted):
    """Not even the names that do not resolve here, or that are public: they tell of the inside."""
    with pytest.raises(RefusedTarget):
        await guard.check_for_remote_reader(url, self_hosted=self_hosted)


async def test_a_self_hosted_reader_gets_only_what_resolves_here_asked_anew_each_time():
    asked = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        if host == "a.example.com":
            return ["93.184.215.14"] if len(asked) < 3 else ["10.0.0.1"]
        raise OSError

    guard = Guard(resolve=resolve)
    for _ in range(2):
        assert (await guard.check_for_remote_reader("http://a.example.com/", self_hosted=True)).path == "/"
    for url in ("http://a.example.com/", "http://unknown.example.com/", "http://unknown.example.com/"):
        with pytest.raises(RefusedTarget):
            await guard.check_for_remote_reader(url, self_hosted=True)
    # What a reader elsewhere may have proves nothing for one in here.
    await guard.check_for_remote_reader("http://unknown.example.com/")
    with pytest.raises(RefusedTarget):
        await guard.check_for_remote_reader("http://unknown.example.com/", self_hosted=True)


def test_tenants_share_what_they_read_only_where_they_may_reach_the_same():
    guard = Guard(intranet=Intranet(LISTS | {"empty": []}))
    assert [guard.reach(tenant) for tenant in ("lab", "net", "other", "", "empty", "*")] == [
        "lab",
        "net",
        "",
        "",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("url", "peer", "tenant", "inside"),
    [
        ("http://public.example.com/", "93.184.215.14", "lab", False),
        ("http://public.example.com/", "93.184.215.14", "net", True),  # listed by its domain
        ("http://www.example.com/", "10.1.0.7", "lab", True),
        ("http://10.1.0.7/", "10.1.0.7", "lab", True),
        ("http://public.example.com/", None, "lab", True),
        ("http://wiki./", "93.184.215.14", "lab", True),
        ("http://public.example.com/", None, "other", True),  # `*` opens something to everybody
    ],
)
def test_what_was_read_inside_is_known_by_the_address_that_answered(guard, url, peer, tenant, inside):
    assert guard.is_inside(guard.target(url, tenant_id=tenant), peer, tenant_id=tenant) is inside


def test_without_a_list_nothing_is_inside():
    guard = Guard()
    assert not guard.is_inside(guard.target("http://example.com/"), None, tenant_id="a")


BAD = [
    "",
    " ",
    ".",
    "..",
    "*",
    "*.corp",
    "http://wiki",
    "wiki/page",
    "wiki:80",
    "user@wiki",
    "a b",
    "a..b",
    "x" * 64,
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    ".localhost",
    "x.onion",
    ".com",
    ".co.uk",
    ".github.io",
    "10.0.0.0/33",
    "10.0.0.1/8",
    "10.1",
    "0x0a000001",
    "8.8.8.8",
    "8.8.8.0/24",
    "0.0.0.0/0",
    "0.0.0.0",
    "127.0.0.1",
    "127.0.0.0/8",
    "169.254.169.254",
    "169.254.0.0/16",
    "100.100.100.200",
    "224.0.0.0/4",
    "::1",
    "::/0",
    "fe80::/10",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fd00:ec2::/64",
    "::ffff:10.0.0.1",
    "2001:db8::/32",
    "2600::/16",
    "10.0.0.1/",
]


@pytest.mark.parametrize("entry", BAD)
def test_an_entry_that_is_none_is_named(entry):
    with pytest.raises(ConfigurationError) as caught:
        Intranet({"lab": ["wiki", entry]})
    assert repr(entry) in str(caught.value)
    assert "'lab'" in str(caught.value)
    assert "LITERESEARCHER_TOOLS__INTRANET" in str(caught.value)


def test_a_tenant_without_a_name_is_refused():
    with pytest.raises(ConfigurationError):
        Intranet({" ": ["wiki"]})


def test_names_are_listed_in_any_spelling():
    perimeter = Intranet({"a": ["Wiki.Corp.", "büro.corp", ".BÜCHER.corp"]}).of("a")
    for host in ("wiki.corp", "xn--bro-hoa.corp", "x.xn--bcher-kva.corp"):
        assert perimeter.names(host), host
    for host in ("xn--bcher-kva.corp", "a.wiki.corp", "notwiki.corp"):
        assert not perimeter.names(host), host
