"""Options that make a job's tools and limits, the same for `research` and `batch`; those of the tools for
`tools search` and `tools visit` too.

Owns: their names, what they ask for, and what is said of a cache that cannot give it. Refuses to know: which values are
good (`jobs.intake`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from literesearcher.settings.model import Settings

F = TypeVar("F", bound=Callable[..., Any])

_SOURCES = {
    "allow_domain": "allow_domains",
    "deny_domain": "deny_domains",
    "published_after": "published_after",
    "published_before": "published_before",
    "language": "languages",
    "max_pages_per_domain": "max_pages_per_domain",
}
"""Field of a source policy by option."""
NAMES = ("cache", "max_tool_cost", *_SOURCES)

_TERMS = (
    click.option("--cache", type=click.Choice(["default", "bypass", "only", "record"]), help="How the cache is used."),
    click.option("--allow-domain", metavar="DOMAIN", multiple=True, help="Only this site (again for more)."),
    click.option("--deny-domain", metavar="DOMAIN", multiple=True, help="Not this site (again for more)."),
    click.option("--published-after", metavar="DAY", help="Nothing older than YYYY-MM-DD."),
    click.option("--published-before", metavar="DAY", help="Nothing newer than YYYY-MM-DD."),
    click.option("--language", metavar="CODE", multiple=True, help="Only in this language (again for more)."),
    click.option("--max-pages-per-domain", type=int, help="Pages of one site at most."),
)
_COST = click.option("--max-tool-cost", type=float, metavar="USD", help="What the job's tool calls may cost at most.")


def term_options(command: F) -> F:
    """How the cache is used and which sources are, in the order in which `--help` shows them."""
    for option in reversed(_TERMS):
        command = option(command)
    return command


def tool_options(command: F) -> F:
    """The same, and what they may cost."""
    return term_options(_COST(command))


def given(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were named on the command line."""
    return {name: value for name, value in wishes.items() if value not in (None, ())}


def say_how_long_it_is_kept(settings: Settings, wishes: Mapping[str, Any]) -> None:
    """One line on stderr where what a job records, or is to find recorded, does not outlive this process."""
    tools = settings.tools
    if wishes.get("cache") not in ("record", "only") or tools.url is not None:
        return
    if tools.cache == "off":
        click.echo("nothing is recorded or found: LITERESEARCHER_TOOLS__CACHE is off", err=True)
    elif (tools.redis_url or settings.redis.url) is None:
        click.echo(
            "what is recorded lives as long as this process: set LITERESEARCHER_TOOLS__REDIS_URL to keep it", err=True
        )


def tools_wish(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """What they ask of the tools, as a request body has it."""
    named = given(wishes)
    sources = {
        field: list(named[option]) if isinstance(named[option], tuple) else named[option]
        for option, field in _SOURCES.items()
        if option in named
    }
    asked = {"cache": named["cache"]} if "cache" in named else {}
    return asked | ({"sources": sources} if sources else {})
