"""URLs in settings: what is refused, in a sentence with an example of its own kind, and no value in it."""

from __future__ import annotations

import pytest

from literesearcher.errors import ConfigurationError
from literesearcher.settings.load import load_settings

PLANTED = "planted-password"


def load(name: str, value: str):
    return load_settings({f"LITERESEARCHER_{name}": value, "HOME": "/nowhere"}, dotenv=None)


@pytest.mark.parametrize("name", ["REDIS__URL", "TOOLS__REDIS_URL"])
@pytest.mark.parametrize(
    "value",
    [
        f"http://:{PLANTED}@host/0",
        "127.0.0.1:6379",
        f"redis://:{PLANTED}@host:abc/0",
        "redis://[::1",
        "redis://host/x",
        "redis:///0",
        "unix://",
    ],
)
def test_a_redis_url_that_is_none_is_refused_by_its_name(name, value):
    with pytest.raises(ConfigurationError) as caught:
        load(name, value)
    assert caught.value.message.startswith(f"LITERESEARCHER_{name} is no Redis URL: write redis://")
    assert PLANTED not in caught.value.message


@pytest.mark.parametrize(
    "value",
    ["redis://h", "redis://:p@h:6379/3", "rediss://u:p@h:1", "unix:///run/redis.sock?db=1", "redis://[::1]:7/0"],
)
def test_a_redis_url_that_is_one_is_taken_as_it_is(value):
    assert load("TOOLS__REDIS_URL", value).tools.redis_url.get_secret_value() == value


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TOOLS__URL", "tools:8001", "such as http://tools:8001"),
        ("TOOLS__URL", f"http://u:{PLANTED}@tools:8001", "a key goes into LITERESEARCHER_TOOLS__TOKEN"),
        ("ENGINE__BASE_URL", "host", "such as http://localhost:30000/v1"),
        ("SEARXNG__BASE_URL", "host", "such as https://example.com"),
        (
            "BUDGETS__TENANTS",
            '{"lab": {"usd": 50}}',
            "LITERESEARCHER_BUDGETS__TENANTS at lab.usd: there is no such field",
        ),
        ("BUDGETS__TENANTS", '{"lab": {"usd_per_day": -1}}', "LITERESEARCHER_BUDGETS__TENANTS at lab.usd_per_day"),
    ],
)
def test_a_refusal_says_the_way_out(name, value, told):
    with pytest.raises(ConfigurationError) as caught:
        load(name, value)
    assert told in caught.value.message
    assert PLANTED not in caught.value.message
