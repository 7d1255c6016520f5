"""The console script's first lines: they catch a Ctrl-C that comes while everything else is still being imported.

Imports nothing before it may be interrupted. Neighbour: `cli.main` does the work.
"""

from __future__ import annotations

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def main() -> None:
    """Run the command line; no traceback for an interrupt, whenever it comes."""
    try:
        from literesearcher.cli.main import main as run

        run()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
