"""What Ctrl-C does, from the program's first line to its last: exit code 130, and never a traceback.

Owns: the handler outside the event loop. Python's own raises KeyboardInterrupt wherever the program happens to be; out
of an import or a destructor that comes as another error, as a message or as a crash. Here nothing is raised: the
program leaves at once, since stores, journals and indexes survive any death of it. Refuses to know: the event loop,
where the first Ctrl-C cancels (`session`). Imports next to nothing: it is armed before everything else is imported.
"""

from __future__ import annotations

import atexit
import os
import signal
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def arm() -> None:
    """From now on Ctrl-C leaves at once. A program that was started to ignore it, as with nohup, goes on doing so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return
    # Python takes its handlers down before it is done, and would then die of the signal. Registered first, called last.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGINT, leave)


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """As a handler: the exit code of Ctrl-C, without waiting for anything."""
    try:
        os.write(2, b"\nliteresearcher: cancelled\n" if os.isatty(2) else b"literesearcher: cancelled\n")
    finally:
        os._exit(INTERRUPTED)
