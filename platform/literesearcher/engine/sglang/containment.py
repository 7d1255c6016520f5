"""What SGLang does to the process that it starts in, kept from the rest of the process.

Owns: signals, metrics, the event loop's policy, the logs' form, the environment that SGLang is told things by.
Refuses to know: what SGLang is started for. Above: `engine.sglang.runtime`.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def speak_through_environment(said: Mapping[str, str]) -> None:
    """Some things SGLang and its processes read there alone."""
    os.environ.update(said)


def metrics_folder() -> Path | None:
    """Where SGLang told its processes to write their metrics, None where it did not."""
    named = os.environ.get(_METRICS_FOLDER)
    return Path(named) if named else None


@contextlib.contextmanager
def own_loop_policy_and_logs() -> Iterator[None]:
    """SGLang sets uvloop's policy for the whole process when it is imported, and the logs' form when it starts."""
    policy, root = asyncio.get_event_loop_policy(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(policy)
        root.handlers[:], root.level = handlers, level


@contextlib.contextmanager
def quiet_quits() -> Iterator[None]:
    """A failing child sends SIGQUIT to its parent, which ends a process that does not handle it. Only the main thread
    may set a handler of Python's; this one is C's, and its output goes nowhere."""
    with open(os.devnull, "wb") as nowhere:
        faulthandler.register(signal.SIGQUIT, file=nowhere, all_threads=False)
        try:
            yield
        finally:
            faulthandler.unregister(signal.SIGQUIT)


@contextlib.contextmanager
def own_metrics() -> Iterator[None]:
    """SGLang registers its metrics for the process, and a folder for its children's, and never takes them back: a
    second start would meet the first's."""
    names = REGISTRY._collector_to_names
    before, folder = set(names), os.environ.get(_METRICS_FOLDER)
    try:
        yield
    finally:
        for collector in set(names) - before:
            REGISTRY.unregister(collector)
        if folder is None:
            os.environ.pop(_METRICS_FOLDER, None)


@contextlib.contextmanager
def signals_of_the_main_thread() -> Iterator[None]:
    """SGLang sets signal handlers while it starts, which raises off the main thread: there it is let be."""
    here, real = threading.get_ident(), signal.signal

    def patched(number: int, handler: Any) -> Any:
        return signal.getsignal(number) if threading.get_ident() == here else real(number, handler)

    signal.signal = patched  # type: ignore[assignment]
    try:
        yield
    finally:
        signal.signal = real
