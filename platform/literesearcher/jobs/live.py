"""What is heard but never kept: live text of a running turn, and bells that say "look again".

Owns: the ports and the in-process form. Losing all of it loses nothing: the journal is the truth, everyone also polls.
Refuses to know: stores, HTTP. `jobs.live_redis` is the same over Redis, between processes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

QUEUE = "queue"
"""Topic of new or handed-back jobs."""


def journal_topic(job_id: str) -> str:
    """Rings when the job's journal grew."""
    return f"journal:{job_id}"


def inbox_topic(job_id: str) -> str:
    """Rings when the job got a letter, or was deleted."""
    return f"inbox:{job_id}"


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a turn's text as it is generated. `offset`: characters of the turn before it.

    `restarted`: the turn is generated again after a crash; what was heard of it before is void (`text` is empty).
    """

    job_id: str
    turn: int
    attempt: int
    offset: int
    text: str
    kind: Literal["text", "restarted"] = "text"


class Bell(Protocol):
    """Remembers that its topic rang since the last `wait`."""

    async def wait(self, timeout_seconds: float) -> bool:
        """True as soon as it rang since the last call, False after the timeout."""
        ...


class Live(Protocol):
    """Deltas and bells. Never raises for a broken backend: live text is a courtesy (it falls silent instead)."""

    async def publish(self, delta: Delta) -> None:
        """Hand a delta to whoever listens, and keep the turn's text so far for late joiners."""
        ...

    async def listening(self, job_id: str) -> bool:
        """Does anyone follow this job's text now? Engines stream only then."""
        ...

    def follow(self, job_id: str) -> AbstractAsyncContextManager[AsyncIterator[Delta]]:
        """Deltas from now on. A late joiner first gets the running turn's text so far, as one delta. The text of a
        turn is forgotten once `finish` says so."""
        ...

    async def finish(self, job_id: str, turn: int) -> None:
        """The turn is journalled or given up; forget its text."""
        ...

    async def ring(self, topic: str) -> None:
        """Wake everyone who waits on the topic."""
        ...

    def listen(self, topic: str) -> AbstractAsyncContextManager[Bell]:
        """A bell on the topic, hung up before the caller looks at the store."""
        ...

    async def aclose(self) -> None:
        """Let go of everything. Safe to call twice."""
        ...
