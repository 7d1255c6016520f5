"""Who holds what of the KV pool: conversations that wait for a tool, and the load that follows.

Owns: sizes of open conversations, the reading of SGLang's load snapshot. Refuses to know: processes.
Above: `engine.sglang.engine`. Below: `engine.load`.
"""

from __future__ import annotations

from typing import Any

from literesearcher.engine.load import EngineLoad


class Conversations:
    """Open conversations by the name of their session; "" is none."""

    def __init__(self) -> None:
        self._waiting: dict[str, int] = {}
        self._running: dict[str, int] = {}

    @property
    def held(self) -> int:
        """Tokens of conversations that wait; those of running ones are in SGLang's own count."""
        return sum(size for name, size in self._waiting.items() if name not in self._running)

    def begin(self, name: str) -> None:
        """A generation for it begins."""
        if name:
            self._running[name] = self._running.get(name, 0) + 1
            self._waiting.setdefault(name, 0)

    def end(self, name: str, size: int) -> None:
        """It ended; the conversation holds `size` tokens, 0 where it got no further than before."""
        if not name:
            return
        left = self._running.pop(name, 1) - 1
        if left > 0:
            self._running[name] = left
        if size and name in self._waiting:
            self._waiting[name] = size

    def forget(self, name: str) -> bool:
        """It goes on no more. Whether it was known."""
        return self._waiting.pop(name, None) is not None


def engine_load(snapshot: Any, *, held: int, retracted: int) -> EngineLoad:
    """From SGLang's `LoadSnapshot`, which knows neither what waiting conversations hold nor past retractions."""
    capacity = int(snapshot.max_total_num_tokens)
    busy = snapshot.total_prefill_busy_us / 1e6
    return EngineLoad(
        kv_capacity=capacity,
        kv_used=min(capacity, int(snapshot.num_used_tokens) + held),
        running=int(snapshot.num_running_reqs),
        waiting=int(snapshot.num_waiting_reqs),
        queued_prefill=int(snapshot.num_waiting_uncached_tokens),
        prefill_per_second=snapshot.total_prefill_uncached_tokens / busy if busy > 0 else 0.0,
        decode_per_second=float(snapshot.gen_throughput),
        retracted=retracted,
    )
