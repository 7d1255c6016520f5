"""The `literesearcher` command: finds the subcommand, and turns what ends a program into an exit code and one line.

Owns: the list of commands (loaded only when one is called: `--help` and `--version` import nothing heavy), exit codes.
Refuses to know: what the commands do. Exit codes: 0 done, 1 the work failed or is incomplete, 2 bad input or
configuration, 130 cancelled.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import NoReturn

import click

from literesearcher.cli.interrupts import INTERRUPTED, arm
from literesearcher.cli.terminal_text import one_line
from literesearcher.errors import BoundaryError, CallerError, ConfigurationError, LiteResearcherError

COMMANDS: dict[str, str] = {
    "research": "Answer one question in the terminal.",
    "serve": "Everything in one process: gateway, orchestrator, tools.",
    "gateway": "The HTTP face alone, on a shared store.",
    "orchestrator": "A worker alone, on a shared store.",
    "tools": "Serve the tools, or try one: search, visit.",
    "batch": "Run a dataset of questions, several rollouts each.",
    "jobs": "List, show, follow, replay, cancel and delete jobs.",
    "corpus": "The local corpus: add, build, list, remove.",
    "model": "The engine's checkpoint: fetch, check.",
    "keys": "API keys: create, list, revoke.",
    "cluster": "The applications on Ray Serve: up, status, down, config, drain.",
    "store": "The job store: migrate, status.",
    "doctor": "What is configured, what answers, what is missing, what to do.",
}
"""Name and one sentence; `cli/NAME.py` holds `command`."""


class Commands(click.Group):
    """The subcommands, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand's own module is imported here."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"literesearcher.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, so that help imports no subcommand."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"literesearcher {metadata.version('literesearcher')}")
        ctx.exit()


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def literesearcher() -> None:
    """Deep research as durable jobs: ask a question, watch it run, read the answer with its sources.

    Settings come from LITERESEARCHER_<SECTION>__<FIELD> variables and a .env file; `literesearcher doctor` says what
    is in force.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code. Errors become one line on stderr."""
    try:
        code = literesearcher.main(args=arguments, prog_name="literesearcher", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as shown:
        click.echo(shown.format_message(), err=True)
        return 2
    except click.ClickException as error:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "literesearcher"
        return _complain(f"{error.format_message()} (see {path} --help)", 2)
    except (ConfigurationError, CallerError) as error:
        return _complain(error.message, 2)
    except LiteResearcherError as error:
        broken_store = isinstance(error, BoundaryError) and error.code.startswith(("store_", "corpus_"))
        from literesearcher.cli.narration import hint

        return _complain(f"{error.message} ({error.code}). {hint(error.code)}".rstrip(". "), 2 if broken_store else 1)
    except (KeyboardInterrupt, click.Abort):
        return _complain("cancelled", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does.
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.close()
        return 0


def _complain(message: str, code: int) -> int:
    click.echo(f"literesearcher: {one_line(message)}", err=True)
    return code


def main() -> NoReturn:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows a stand-in; it does not end the program.
            stream.reconfigure(errors="replace")
    sys.exit(run())


if __name__ == "__main__":
    arm()
    main()
