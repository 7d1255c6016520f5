"""`literesearcher tools`: the tool proxy over HTTP, and one search or visit as the model would read it.

Owns: arguments and what is printed. Refuses to know: how tools work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from literesearcher.cli.job_options import say_how_long_it_is_kept, term_options, tools_wish
from literesearcher.cli.terminal_text import printable
from literesearcher.errors import CallerError
from literesearcher.timing.clock import SystemClock


@click.group("tools")
def command() -> None:
    """Serve the tools over HTTP, or try one here."""


@command.command("serve")
@click.option("--host", help="Address to listen on (default: TOOLS__HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (default: TOOLS__PORT; 0: any free one).")
def serve_tools(host: str | None, port: int | None) -> int:
    """The tool proxy as a process of its own; beyond loopback it needs TOOLS__TOKEN.

    Metrics are on METRICS__HOST:METRICS__PORT (default 127.0.0.1:9101).
    """
    from literesearcher.cli import tool_service
    from literesearcher.cli.local_corpus import prepare_corpus
    from literesearcher.cli.services import SERVING_LEVEL
    from literesearcher.cli.session import log_to_stderr, read_settings, run_async

    settings = tool_service.own_proxy(tool_service.with_address(read_settings(), host, port))
    log_to_stderr(SERVING_LEVEL)
    prepare_corpus(settings)
    return run_async(tool_service.serve_tools(settings), fast=True)


_OPTIONS = (
    click.option(
        "--profile", type=click.Choice(["inference", "training"]), default="inference", help="Which world is imitated."
    ),
    click.option(
        "--fidelity",
        type=click.Choice(["published", "improved"]),
        help="published: the published tools' texts to the byte (default: as the proxy is set).",
    ),
    click.option("--timeout", "timeout_seconds", type=float, default=600.0, help="Seconds for the whole call."),
    click.option("--json", "as_json", is_flag=True, help="The whole result as JSON instead."),
)


def _with_terms(function: Callable[..., int]) -> Callable[..., int]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return term_options(function)


@command.command("search")
@click.argument("query", nargs=-1, required=True)
@_with_terms
def search(query: tuple[str, ...], **wishes: Any) -> int:
    """What the model would read for these queries; stderr says where it came from.

    Exit code 0: every query was answered (having no results is an answer), 1: one was not, 2: bad input.
    """
    return _call("search", {"query": list(query)}, wishes)


@command.command("visit")
@click.argument("url", nargs=-1, required=True)
@click.option("--goal", required=True, help="What to look for.")
@_with_terms
def visit(url: tuple[str, ...], goal: str, **wishes: Any) -> int:
    """What the model would read for these pages; stderr says where it came from.

    Exit code 0: every page was read, 1: one was not, 2: bad input.
    """
    return _call("visit", {"url": list(url), "goal": goal}, wishes)


def _call(name: str, arguments: dict[str, Any], wishes: dict[str, Any]) -> int:
    import orjson

    from literesearcher.cli import tool_service
    from literesearcher.cli.local_corpus import prepare_corpus
    from literesearcher.cli.session import TENANT, log_to_stderr, read_settings, run_async
    from literesearcher.cli.tool_report import report
    from literesearcher.tools.arguments import UnusableArguments, usable
    from literesearcher.tools.service.wire_form import decode_ask

    try:
        arguments = usable(name, arguments)
    except UnusableArguments as error:
        raise CallerError(error.message.removeprefix("Error: "), field=error.field) from None
    own = {name: wishes[name] for name in ("profile", "fidelity", "timeout_seconds")}
    ask = decode_ask({"tenant_id": TENANT} | own | tools_wish(wishes))
    settings = read_settings()
    log_to_stderr()
    prepare_corpus(settings)
    say_how_long_it_is_kept(settings, wishes)
    result = run_async(tool_service.call_once(settings, name, arguments, ask))
    if wishes["as_json"]:
        sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
    else:
        click.echo(printable(result.text))
        sys.stdout.flush()
        for line in report(result, now=SystemClock().now().timestamp()):
            click.echo(line, err=True)
    return 0 if all(item.ok for item in result.items) else 1
