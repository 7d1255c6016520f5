"""How every command starts: settings from this process's environment, logs to stderr, one event loop.

Owns: reading the environment, the log form, running a coroutine, signals while it runs. Refuses to know: what the
commands do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from literesearcher.cli.interrupts import leave
from literesearcher.cli.terminal_text import one_line
from literesearcher.settings.load import load_settings
from literesearcher.settings.model import Settings

T = TypeVar("T")

TENANT = "default"
"""The tenant of the command line: whoever can open the store owns its default tenant."""


class OneLineFormatter(logging.Formatter):
    """A record a line; what pages or servers put into it cannot act on the terminal. Tracebacks keep their lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message."""
        stamp = self.formatTime(record, "%H:%M:%S")
        line = f"{stamp} {record.levelname.lower()} {record.name}: {one_line(record.getMessage())}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def read_settings() -> Settings:
    """The settings in force, from the environment and `./.env`."""
    return load_settings(os.environ, dotenv=Path(".env"))


def log_to_stderr(level: int = logging.WARNING) -> None:
    """Send logs to stderr; libraries below us speak only when something is wrong."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("literesearcher").setLevel(level)


def run_async(work: Coroutine[Any, Any, T], *, fast: bool = False) -> T:
    """Run to the end in a new event loop. `fast`: on uvloop, where it is installed, for programs that serve.

    The first Ctrl-C cancels the work, and KeyboardInterrupt is raised once it has tidied up; the second leaves at once.
    """
    factory = None
    if fast:
        with contextlib.suppress(ImportError):
            import uvloop

            factory = uvloop.new_event_loop
    interrupted = False

    async def cancellable() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def cancel(number: int, frame: FrameType | None) -> None:
            nonlocal interrupted
            interrupted = True
            signal.signal(signal.SIGINT, leave)
            loop.call_soon_threadsafe(task.cancel)

        before = signal.getsignal(signal.SIGINT)
        if before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, cancel)
        try:
            return await work
        finally:
            signal.signal(signal.SIGINT, before)

    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(cancellable())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise


@contextlib.contextmanager
def on_signals(handlers: Mapping[int, Callable[[], object]]) -> Iterator[None]:
    """In the running event loop: what signals do inside the block. After it they do what they did before."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, earlier)
