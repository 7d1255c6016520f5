"""Which providers are in force by which keys, what a listed one cannot do without, and what counts as one's own."""

from __future__ import annotations

import pytest

from literesearcher.errors import ConfigurationError
from literesearcher.settings.load import load_settings
from literesearcher.settings.model import Settings

HOME = {"HOME": "/home/somebody"}
SEARCH, PAGES = "LITERESEARCHER_TOOLS__SEARCH", "LITERESEARCHER_TOOLS__PAGES"


def loaded(**values: str) -> Settings:
    named = {
        name if name.startswith("LITERESEARCHER_") else f"LITERESEARCHER_{name}": value
        for name, value in values.items()
    }
    return load_settings(HOME | named, dotenv=None)


@pytest.mark.parametrize(
    ("environ", "search", "pages"),
    [
        ({}, ["local"], ["local"]),
        ({"SERPER__API_KEY": "k"}, ["serper"], ["direct", "jina"]),
        ({"BRAVE__API_KEY": "k"}, ["brave"], ["direct", "jina"]),
        ({"TAVILY__API_KEY": "k", "SCRAPEDO__API_KEY": "k"}, ["tavily"], ["direct", "jina", "scrapedo"]),
        ({"SEARXNG__BASE_URL": "http://searxng:8080"}, ["searxng"], ["direct", "jina"]),
        (
            {
                "SEARXNG__BASE_URL": "http://searxng:8080",
                "TAVILY__API_KEY": "k",
                "BRAVE__API_KEY": "k",
                "SERPER__API_KEY": "k",
                "FIRECRAWL__API_KEY": "k",
                "SCRAPEDO__API_KEY": "k",
            },
            ["serper", "brave", "tavily", "searxng"],
            ["direct", "jina", "scrapedo", "firecrawl"],
        ),
        (
            {"SERPER__API_KEY": "k", "FIRECRAWL__BASE_URL": "http://firecrawl:3002"},
            ["serper"],
            ["direct", "jina", "firecrawl"],
        ),
        # Keys for pages or of a proxy before an instance do not bring the live web by themselves.
        ({"JINA__API_KEY": "k", "FIRECRAWL__API_KEY": "k", "SEARXNG__API_KEY": "k"}, ["local"], ["local"]),
        ({"BRAVE__API_KEY": "k", SEARCH: '["local"]', PAGES: '["local"]'}, ["local"], ["local"]),
        (
            {"BRAVE__API_KEY": "k", "TAVILY__API_KEY": "k", SEARCH: '["tavily", "local"]'},
            ["tavily", "local"],
            ["direct", "jina"],
        ),
    ],
)
def test_what_is_in_force(environ, search, pages):
    settings = loaded(**environ)
    assert (settings.search_providers, settings.page_providers) == (search, pages)


@pytest.mark.parametrize(
    ("setting", "listed", "named"),
    [
        (SEARCH, "serper", "LITERESEARCHER_SERPER__API_KEY"),
        (SEARCH, "brave", "LITERESEARCHER_BRAVE__API_KEY"),
        (SEARCH, "tavily", "LITERESEARCHER_TAVILY__API_KEY"),
        (SEARCH, "searxng", "LITERESEARCHER_SEARXNG__BASE_URL"),
        (PAGES, "scrapedo", "LITERESEARCHER_SCRAPEDO__API_KEY"),
        (PAGES, "firecrawl", "LITERESEARCHER_FIRECRAWL__API_KEY"),
    ],
)
def test_a_listed_provider_that_lacks_something_is_refused_by_its_setting(setting, listed, named):
    with pytest.raises(ConfigurationError) as caught:
        loaded(**{setting: f'["local", "{listed}"]'})
    assert listed in caught.value.message
    assert named in caught.value.message


def test_an_own_firecrawl_needs_no_key():
    settings = loaded(**{PAGES: '["firecrawl"]', "FIRECRAWL__BASE_URL": "http://firecrawl:3002/"})
    assert settings.page_providers == ["firecrawl"]


@pytest.mark.parametrize(
    ("environ", "sees"),
    [
        ({}, False),
        ({"JINA__BASE_URL": "https://r.jina.ai/"}, False),
        ({"JINA__BASE_URL": "http://reader:3000"}, True),
        ({"JINA__BASE_URL": "https://eu.r.jina.ai", "JINA__SELF_HOSTED": "false"}, False),
        ({"JINA__SELF_HOSTED": "true"}, True),
    ],
)
def test_a_reader_at_another_address_sees_our_network_unless_said_otherwise(environ, sees):
    assert loaded(**environ).jina.sees_our_network is sees
