"""The rule for an address, against every special range that IANA lists and a few public ones."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literesearcher.tools.perimeter.addresses import is_public, literal


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_anything_else(address):
    if is_public(address):
        assert address.is_global
        kinds = ("private", "loopback", "link_local", "multicast", "reserved", "unspecified")
        assert not [kind for kind in kinds if getattr(address, f"is_{kind}")]


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_gets_through_inside_an_ipv6_one(address):
    packed = int(address)
    for carrier in ("::", "::ffff:0:0", "64:ff9b::", "64:ff9b:1::"):
        assert not is_public(ipaddress.IPv6Address(int(ipaddress.IPv6Address(carrier)) | packed))
    assert not is_public(ipaddress.IPv6Address((0x2002 << 112) | (packed << 80)))


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "223.5.5.5", "2606:4700::1111", "2a00:1450:4001:800::200e"])
def test_public_addresses_are(text):
    assert is_public(ipaddress.ip_address(text))


def test_a_literal_is_read_in_its_canonical_form_only():
    assert literal("example.com") is None
    assert literal("1.2.3.4.example") is None
    assert str(literal("8.8.8.8")) == "8.8.8.8"
    for spelling in ("1", "0x1", "1.2", "1.2.3", "01.2.3.4", "1.2.3.4.5", "a.1", "1.2.3.256", "::1%eth0", "1::2::3"):
        with pytest.raises(ValueError):
            literal(spelling)
