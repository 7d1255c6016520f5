"""What a runtime says of its load: the figures that routing, admission and scaling decide by.

Owns: the values and the port. Refuses to know: Ray, policies, metrics. Above: the cluster's replicas. Below: runtimes
that hold a KV cache (`engine.sglang`, `testing.timed_engine`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """One replica now. Tokens unless said otherwise."""

    kv_capacity: int
    """The whole KV pool."""
    kv_used: int = 0
    """Held by running requests and by conversations that wait for a tool; what may be evicted is not in it."""
    running: int = 0
    """Requests being decoded or prefilled."""
    waiting: int = 0
    """Requests in the runtime's own queue."""
    queued_prefill: int = 0
    """Uncached prompt tokens that stand before a request that would come now."""
    prefill_per_second: float = 0.0
    decode_per_second: float = 0.0
    """Generated tokens of all requests together, of late."""
    retracted: int = 0
    """Requests thrown out of the pool since the start, to be made again."""


@runtime_checkable
class Starting(Protocol):
    """A runtime that takes its time until it can serve."""

    async def start(self) -> None:
        """Ready when it returns; does nothing where it runs. ConfigurationError or BoundaryError where it cannot be."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A runtime, or the way to some, that keeps conversations between their turns."""

    async def release(self, program: str) -> None:
        """The conversation goes on no more: what is kept for it may go. Unknown programs are no error."""
        ...


@runtime_checkable
class Measured(Protocol):
    """A runtime that counts for operators."""

    def figures(self) -> dict[str, float]:
        """By the names of `telemetry.engine_metrics`, totals since its last start; empty while it is not running.
        Blocks for some 30 ms."""
        ...


@runtime_checkable
class Loaded(Protocol):
    """A runtime that holds conversations in a KV cache."""

    async def load(self) -> EngineLoad:
        """The load now; costs well under a millisecond."""
        ...

    async def release(self, program: str) -> None:
        """The conversation goes on no more: what is kept for it may go. Unknown programs are no error."""
        ...

    async def check(self) -> None:
        """A real generation of one token; raises `BoundaryError` where it does not come in time."""
        ...
