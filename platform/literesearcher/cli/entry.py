"""The console script's first lines: they see to Ctrl-C before everything else is imported.

Imports nothing before it may be interrupted. Neighbours: `cli.interrupts` (what Ctrl-C does), `cli.main` (the work).
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; no traceback for an interrupt, whenever it comes."""
    try:
        from literesearcher.cli.interrupts import arm

        arm()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    from literesearcher.cli.main import main as run

    run()
