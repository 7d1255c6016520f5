"""How long each part of a runtime's start took: what it was that a new replica waited for.

Owns: the phases' names, measuring them, telling who listens. Refuses to know: metrics (`telemetry.start_metrics`
declares them), runtimes. Above: `engine.weights`, `engine.sglang`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from literesearcher.timing.clock import Clock

PHASES = ("download", "checksum", "load", "warm_up")
"""In their order; a start without a download or a checksum has no such phase. `load`: processes, weights, KV pool."""

PhaseSink = Callable[[str, float], None]
"""(phase, seconds), when a phase has ended well."""


class StartPhases:
    """The phases of the last start."""

    def __init__(self, clock: Clock, told: PhaseSink | None = None) -> None:
        self._clock = clock
        self._told = told
        self.ended: list[tuple[str, float]] = []
        """(phase, seconds), in the order in which they ended."""

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measures the block. One that fails is no phase: its seconds would stand among those of starts."""
        began = self._clock.monotonic()
        yield
        seconds = self._clock.monotonic() - began
        self.ended.append((name, seconds))
        if self._told is not None:
            self._told(name, seconds)

    def begin(self) -> None:
        """Another start."""
        self.ended = []
