"""Options of the tools: what is named reaches the wish as a request body has it, the rest stays out of it."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from literesearcher.cli.job_options import NAMES, given, say_how_long_it_is_kept, tool_options, tools_wish
from literesearcher.cli.one_job import spec_of
from literesearcher.settings.model import Settings


def parsed(*arguments: str) -> dict[str, Any]:
    caught: dict[str, Any] = {}

    @click.command()
    @tool_options
    def command(**wishes: Any) -> None:
        caught.update(wishes)

    ended = CliRunner().invoke(command, list(arguments))
    assert ended.exit_code == 0, ended.output
    return caught


def test_nothing_named_is_no_wish() -> None:
    wishes = parsed()
    assert set(wishes) == set(NAMES)
    assert given(wishes) == {}
    assert tools_wish(wishes) == {}
    assert spec_of("q", wishes).limits == {}


def test_everything_named() -> None:
    wishes = parsed(
        *("--cache", "only", "--allow-domain", "a.example", "--allow-domain", ".edu", "--deny-domain", "b.example"),
        *("--published-after", "2024-01-01", "--published-before", "2024-02-01", "--language", "en"),
        *("--max-pages-per-domain", "2", "--max-tool-cost", "0"),
    )
    spec = spec_of("q", wishes)
    assert (
        spec.tools
        == tools_wish(given(wishes))
        == {
            "cache": "only",
            "sources": {
                "allow_domains": ["a.example", ".edu"],
                "deny_domains": ["b.example"],
                "published_after": "2024-01-01",
                "published_before": "2024-02-01",
                "languages": ["en"],
                "max_pages_per_domain": 2,
            },
        }
    )
    assert spec.limits == {"max_tool_cost_usd": 0}


@pytest.mark.parametrize("option", ["--allow-domain", "--language"])
def test_one_option_alone_asks_for_nothing_else(option: str) -> None:
    wish = tools_wish(parsed(option, "x"))
    assert list(wish) == ["sources"]
    assert len(wish["sources"]) == 1


@pytest.mark.parametrize(
    ("cache", "settings", "said"),
    [
        ("record", {}, "set LITERESEARCHER_TOOLS__REDIS_URL"),
        ("only", {}, "set LITERESEARCHER_TOOLS__REDIS_URL"),
        ("record", {"tools": {"cache": "off"}}, "LITERESEARCHER_TOOLS__CACHE is off"),
        ("default", {}, ""),
        (None, {}, ""),
        ("record", {"tools": {"redis_url": "redis://127.0.0.1:1/0"}}, ""),
        ("record", {"redis": {"url": "redis://127.0.0.1:1/0"}}, ""),
        ("record", {"tools": {"url": "http://127.0.0.1:1"}}, ""),
    ],
)
def test_who_records_where_nothing_lasts_is_told_which_setting_changes_that(capsys, cache, settings, said):
    say_how_long_it_is_kept(Settings.model_validate(settings), {"cache": cache})
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == bool(said)
