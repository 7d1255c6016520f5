"""What is heard but never kept: live text of a running turn, and bells that say "look again".

Owns: the ports and the in-process form. Losing all of it loses nothing: the journal is the truth, everyone also polls.
Refuses to know: stores, HTTP. `jobs.live_redis` is the same over Redis, between processes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeVar

T = TypeVar("T")

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


MAX_PENDING_CHARACTERS = 2_000_000
"""What a follower that does not read may leave lying; beyond it the oldest pieces go (offsets show the gap)."""


class RunningText:
    """The text so far of a job's running turn, from its deltas in order."""

    def __init__(self) -> None:
        self._first: Delta | None = None
        self._parts: list[str] = []

    def add(self, delta: Delta) -> bool:
        """False for a delta of an attempt or turn that is over: what a fenced-out holder still says."""
        first = self._first
        if first is not None and (delta.attempt, delta.turn) < (first.attempt, first.turn):
            return False
        if first is None or delta.kind == "restarted" or (delta.attempt, delta.turn) != (first.attempt, first.turn):
            self._first, self._parts = delta, []
        self._parts.append(delta.text)
        return True

    def so_far(self) -> Delta | None:
        """All of it as one delta, None where there is nothing."""
        text = "".join(self._parts)
        if self._first is None or not text:
            return None
        self._parts = [text]
        return replace(self._first, text=text, kind="text")

    def finish(self, turn: int) -> bool:
        """Is this turn, or a later one's end, all there was? A text of a later turn stays."""
        return self._first is None or self._first.turn <= turn


class Follower:
    """Deltas on their way to one reader; pieces of one turn that wait together come out as one."""

    def __init__(self) -> None:
        self._pending: deque[Delta] = deque()
        self._characters = 0
        self._arrived = asyncio.Event()

    def put(self, delta: Delta) -> None:
        """Never waits for the reader."""
        self._pending.append(delta)
        self._characters += len(delta.text)
        while self._characters > MAX_PENDING_CHARACTERS and len(self._pending) > 1:
            self._characters -= len(self._pending.popleft().text)
        self._arrived.set()

    async def deltas(self) -> AsyncIterator[Delta]:
        """Without end."""
        while True:
            while not self._pending:
                self._arrived.clear()
                await self._arrived.wait()
            waiting, self._characters = list(self._pending), 0
            self._pending.clear()
            for delta in joined(waiting):
                yield delta


def joined(deltas: Sequence[Delta]) -> list[Delta]:
    """The same with neighbours that continue each other made one."""
    runs: list[tuple[Delta, list[str]]] = []
    end = 0
    for delta in deltas:
        first = runs[-1][0] if runs else None
        same = first is not None and (delta.turn, delta.attempt) == (first.turn, first.attempt)
        if first is not None and same and first.kind == delta.kind == "text" and delta.offset == end:
            runs[-1][1].append(delta.text)
        else:
            runs.append((delta, [delta.text]))
        end = delta.offset + len(delta.text)
    return [replace(first, text="".join(parts)) for first, parts in runs]


class LocalBell:
    """A bell within one process."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits, now or at the next wait."""
        self._rung.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """True as soon as it rang since the last call."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class LocalLive:
    """`Live` within one process and one event loop."""

    def __init__(self) -> None:
        self._texts: dict[str, RunningText] = {}
        self._followers: dict[str, set[Follower]] = {}
        self._bells: dict[str, set[LocalBell]] = {}

    async def publish(self, delta: Delta) -> None:
        """Hand it on at once; never waits for a reader."""
        if self._texts.setdefault(delta.job_id, RunningText()).add(delta):
            for follower in self._followers.get(delta.job_id, ()):
                follower.put(delta)

    async def listening(self, job_id: str) -> bool:
        """Does anyone follow the job in this process?"""
        return job_id in self._followers

    @asynccontextmanager
    async def follow(self, job_id: str) -> AsyncIterator[AsyncIterator[Delta]]:
        """The running turn's text so far, then what comes."""
        follower = Follower()
        text = self._texts.get(job_id)
        so_far = text.so_far() if text is not None else None
        if so_far is not None:
            follower.put(so_far)
        with _among(self._followers, job_id, follower):
            yield follower.deltas()

    async def finish(self, job_id: str, turn: int) -> None:
        """Forget the turn's text."""
        text = self._texts.get(job_id)
        if text is not None and text.finish(turn):
            del self._texts[job_id]

    async def ring(self, topic: str) -> None:
        """Ring every bell on the topic."""
        for bell in self._bells.get(topic, ()):
            bell.ring()

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[Bell]:
        """A bell that hears every ring from now on."""
        bell = LocalBell()
        with _among(self._bells, topic, bell):
            yield bell

    async def aclose(self) -> None:
        """Forget all texts."""
        self._texts.clear()


@contextmanager
def _among(groups: dict[str, set[T]], name: str, member: T) -> Iterator[None]:
    """In the group while inside; empty groups are not kept."""
    groups.setdefault(name, set()).add(member)
    try:
        yield
    finally:
        groups[name].discard(member)
        if not groups[name]:
            del groups[name]
