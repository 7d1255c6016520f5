"""What the doctor says of providers: in force, keyed or not, and never a key."""

from __future__ import annotations

import pytest

from literesearcher.cli.provider_checks import told_of_pages, told_of_search
from literesearcher.errors import BoundaryError
from literesearcher.settings.model import Settings


def settings(**sections) -> Settings:
    return Settings.model_validate(sections)


async def test_search():
    assert await told_of_search(settings()) == "local"
    told = await told_of_search(settings(brave={"api_key": "planted"}, tavily={"api_key": "planted", "cost_usd": 0}))
    assert told == (
        "brave (a key is set; no query was spent on trying it; $0.005 a request), "
        "tavily (a key is set; no query was spent on trying it)"
    )


async def test_an_instance_that_does_not_answer_is_broken():
    with pytest.raises(BoundaryError) as caught:
        await told_of_search(settings(searxng={"base_url": "http://127.0.0.1:9"}))
    assert caught.value.code == "provider_unreachable"


def test_pages():
    assert told_of_pages(settings()) == "local"
    keyed = {"serper": {"api_key": "k"}}
    assert told_of_pages(settings(**keyed)) == "direct, jina (Jina Reader without a key: few pages a minute)"
    told = told_of_pages(
        settings(
            **keyed,
            jina={"api_key": "planted"},
            scrapedo={"api_key": "planted"},
            firecrawl={"base_url": "http://127.0.0.1:3002", "cost_usd": 0},
        )
    )
    assert told == (
        "direct, jina (a key is set), scrapedo (a key is set; $0.0006 a request), firecrawl (at http://127.0.0.1:3002)"
    )
