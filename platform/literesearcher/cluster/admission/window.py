"""How many jobs a worker may hold: a window for each engine replica that grows by one and shrinks by a share. Pure.

Owns: AIMD. A replica's window grows while its KV pool has room and the worker uses what it has; it shrinks when the
pool is nearly full or requests were thrown out of it, and not again before the cut has shown. Workers that share a
pool see the same pressure and so come to even shares without speaking. Jobs that are paused in a tool count in full,
in the window (every held job) as in the pool (what it keeps for them).
Refuses to know: which replica a job lives on (the router), clocks, Ray. Above: `engine_admission`, simulations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from literesearcher.engine.load import EngineLoad


@dataclass(frozen=True, slots=True)
class WindowTuning:
    """What may be changed. Shares are of a KV pool."""

    first: float = 4.0
    """Jobs for a replica that was never seen before."""
    least: float = 1.0
    high: float = 0.9
    """Filled beyond this, the window is cut: what runs still grows by a turn before anything ends."""
    low: float = 0.7
    """Filled less than this, the window grows. Between the two it stays."""
    cut: float = 0.75
    interval_seconds: float = 10.0
    """One step a window in so long: about a turn and its tool call, after which a new job shows in the pool."""


@dataclass(frozen=True, slots=True)
class Window:
    """Of one replica."""

    jobs: float
    changed_at: float
    retracted: int = 0


Windows = Mapping[str, Window]
USED = 0.8
"""Of the windows; a worker that holds less has no use for more."""


def look(
    windows: Windows, loads: Mapping[str, EngineLoad | None], *, held: int, at: float, tuning: WindowTuning
) -> dict[str, Window]:
    """The windows after one look at the replicas. `held`: jobs that the worker holds.

    None: not heard of lately; its window stays. A replica that is not named is gone, and so is its window.
    """
    total = sum(windows[name].jobs for name in loads if name in windows)
    # Looks come just after jobs ended, so a window that is used is not quite full; and only whole jobs are held.
    shown, used = held <= total, held >= USED * math.floor(total) - 1
    after = {}
    for name, load in loads.items():
        known = windows.get(name)
        if known is None:
            known = Window(tuning.first, at, load.retracted if load else 0)
        elif load is not None and load.kv_capacity > 0:
            known = _stepped(known, load, at, shown=shown, used=used, tuning=tuning)
        after[name] = known
    return after


def allowed(windows: Windows) -> int:
    """Jobs that the windows let in, were there no other limit."""
    return math.floor(sum(window.jobs for window in windows.values()) + 1e-9)


def room(windows: Windows, *, held: int, most: int) -> int:
    """How many more jobs the worker may take. `most`: jobs of one process at most."""
    return max(0, min(most, allowed(windows)) - held)


def _stepped(window: Window, load: EngineLoad, at: float, *, shown: bool, used: bool, tuning: WindowTuning) -> Window:
    thrown_out = load.retracted > window.retracted
    filled = load.kv_used / load.kv_capacity
    if at - window.changed_at < tuning.interval_seconds:
        # What was thrown out meanwhile is not forgotten: it counts at the next step.
        return window
    # A runtime that was started again counts from 0.
    seen = replace(window, retracted=load.retracted)
    if thrown_out or filled > tuning.high:
        if not shown:
            return seen
        return replace(seen, jobs=max(tuning.least, window.jobs * tuning.cut), changed_at=at)
    if filled < tuning.low and used:
        return replace(seen, jobs=window.jobs + 1.0, changed_at=at)
    return seen
