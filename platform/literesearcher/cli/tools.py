"""`literesearcher tools`: the tool proxy over HTTP, and one search or visit as the model would read it.

Owns: arguments and what is printed. Refuses to know: how tools work.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from literesearcher.cli.terminal_text import printable


@click.group("tools")
def command() -> None:
    """Serve the tools over HTTP, or try one here."""


@command.command("serve")
@click.option("--host", help="Address to listen on (default: TOOLS__HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (default: TOOLS__PORT; 0: any free one).")
def serve_tools(host: str | None, port: int | None) -> int:
    """The tool proxy as a process of its own; beyond loopback it needs TOOLS__TOKEN."""
    from literesearcher.cli import tool_service
    from literesearcher.cli.local_corpus import prepare_corpus
    from literesearcher.cli.services import SERVING_LEVEL
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async

    settings = tool_service.with_address(read_settings(), host, port)
    log_to_stderr(SERVING_LEVEL)
    prepare_corpus(settings)
    return run_async(tool_service.serve_tools(settings), fast=True)


_profile = click.option(
    "--profile", type=click.Choice(["inference", "training"]), default="inference", help="Which world is imitated."
)
_json = click.option("--json", "as_json", is_flag=True, help="Also where each part came from, as JSON.")


@command.command("search")
@click.argument("query", nargs=-1, required=True)
@_profile
@_json
def search(query: tuple[str, ...], profile: Any, as_json: bool) -> int:
    """What the model would read for these queries."""
    return _call("search", {"query": list(query)}, profile, as_json)


@command.command("visit")
@click.argument("url", nargs=-1, required=True)
@click.option("--goal", required=True, help="What to look for.")
@_profile
@_json
def visit(url: tuple[str, ...], goal: str, profile: Any, as_json: bool) -> int:
    """What the model would read for these pages."""
    return _call("visit", {"url": list(url), "goal": goal}, profile, as_json)


def _call(name: str, arguments: dict[str, Any], profile: Any, as_json: bool) -> int:
    import orjson

    from literesearcher.cli import tool_service
    from literesearcher.cli.local_corpus import prepare_corpus
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async

    settings = read_settings()
    log_to_stderr()
    prepare_corpus(settings)
    result = run_async(tool_service.call_once(settings, name, arguments, profile))
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        click.echo(printable(result.text))
    return 0 if all(item.ok for item in result.items) else 1
