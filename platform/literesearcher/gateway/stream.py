"""One client's view of a job as it goes on: every journal event once and in order, live text in between.

The bell is hung up before the store is read, so nothing falls between the two; the store is also read at every
`poll_seconds`, for journals that another process writes without a shared bell. Frames are pushed one at a time and
the next read waits for the client, so a slow client costs one page of events and one turn's text.
Refuses to know: wire formats (`gateway.wire`), tenants (the route has looked the job up).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from literesearcher.errors import BoundaryError, NotFound
from literesearcher.gateway.deltas import TURN_EVENTS, Backlog, LiveText
from literesearcher.jobs.live import Bell, Delta, Live, journal_topic
from literesearcher.jobs.model import ENDED, Envelope, Job
from literesearcher.jobs.ports import Store
from literesearcher.research.events import JobEnded
from literesearcher.timing.clock import Clock

_PAGE = 50
"""Events read at once: what a stuck client can hold in memory."""
_LOOK_BACK = 16
"""Events read at once to find out what a re-joining client knows of the running turn."""


@dataclass(frozen=True, slots=True)
class StreamPace:
    """`poll_seconds`: how often the store is read where no bell rings. `keep_alive_seconds`: silence after which a
    sign of life goes out. `stall_seconds`: how long one frame may wait for a client that takes nothing.
    `admission_seconds`: how often it is asked whether the client may still listen."""

    poll_seconds: float = 1.0
    keep_alive_seconds: float = 15.0
    stall_seconds: float = 60.0
    admission_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Remark:
    """Words for whoever reads the wire: a sign of life, or why the stream ends before the job does."""

    text: str


Frame = Envelope | Delta | Remark
Emit = Callable[[Frame], Awaitable[None]]


class JobStream:
    """Follows one job for one client from `after` (exclusive) to its end. `admitted`: may the client still listen?"""

    def __init__(
        self,
        *,
        store: Store,
        live: Live,
        clock: Clock,
        pace: StreamPace,
        closing: asyncio.Event,
        admitted: Callable[[], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._pace = pace
        self._closing = closing
        self._admitted = admitted
        self._admitted_at = clock.monotonic()
        self._wake = asyncio.Event()
        self._look = True
        self._rang = False
        self._over = False
        self._backlog = Backlog()
        self._text = LiveText()
        self._seq = 0
        self._spoke_at = clock.monotonic()

    async def run(self, job: Job, after: int, emit: Emit) -> None:
        """Emit until job.ended is sent, the job is gone, or the server closes. Raises what `emit` raises."""
        self._seq = after
        async with self._live.listen(journal_topic(job.id)) as bell, self._live.follow(job.id) as deltas:
            async with asyncio.TaskGroup() as group:
                ears = [group.create_task(self._hear_bell(bell)), group.create_task(self._hear_text(deltas))]
                try:
                    await self._follow(job, emit)
                finally:
                    # The flag too: a bell may use `asyncio.wait_for`, which before Python 3.12 can lose a cancellation.
                    self._over = True
                    for ear in ears:
                        ear.cancel()

    async def _hear_bell(self, bell: Bell) -> None:
        while not self._over:
            self._rang = await bell.wait(self._pace.poll_seconds) or self._rang
            self._look = True
            self._wake.set()

    async def _hear_text(self, deltas: AsyncIterator[Delta]) -> None:
        async for delta in deltas:
            self._backlog.add(delta)
            self._wake.set()

    async def _follow(self, job: Job, emit: Emit) -> None:
        primed = False
        while not self._closing.is_set():
            self._wake.clear()
            heard = self._backlog.take()
            try:
                if not primed:
                    await self._look_back(job.id)
                    primed = True
                if not await self._still_admitted(emit):
                    return
                doubt = False
                if self._look or not all(self._text.running(delta) for delta in heard):
                    rang, before = self._rang, self._seq
                    self._look = self._rang = False
                    if await self._catch_up(job, emit):
                        return
                    doubt = rang and self._seq == before
                if not await self._still_there(job, emit, doubt=doubt):
                    return
            except BoundaryError as error:
                if not error.transient:
                    raise
                self._look = True
            for delta in heard:
                admitted = self._text.admit(delta)
                if admitted is not None:
                    await self._say(admitted, emit)
            await self._wake.wait()
        await emit(Remark("the server is closing: re-join with Last-Event-ID"))

    async def _look_back(self, job_id: str) -> None:
        """Learn, without sending it again, whether a turn was running at the point of re-joining."""
        until = self._seq
        while until > 0:
            start = max(0, until - _LOOK_BACK)
            known = await self._store.read(job_id, after=start, limit=until - start)
            if any(envelope.type in TURN_EVENTS for envelope in known):
                for envelope in known:
                    self._text.see(envelope)
                return
            until = start

    async def _catch_up(self, job: Job, emit: Emit) -> bool:
        """Send what the journal has beyond what was sent; True after job.ended."""
        while True:
            page = await self._store.read(job.id, after=self._seq, limit=_PAGE)
            for envelope in page:
                await self._say(envelope, emit)
                self._seq = envelope.seq
                if envelope.type == JobEnded.type:
                    return True
                restarted = self._text.see(envelope)
                if restarted is not None:
                    await self._say(restarted, emit)
            if len(page) < _PAGE:
                return job.status in ENDED

    async def _still_admitted(self, emit: Emit) -> bool:
        """From time to time: a key may be revoked while its stream is open."""
        now = self._clock.monotonic()
        if now - self._admitted_at < self._pace.admission_seconds:
            return True
        if not await self._admitted():
            await emit(Remark("the API key does not let in any more"))
            return False
        self._admitted_at = now
        return True

    async def _still_there(self, job: Job, emit: Emit, *, doubt: bool) -> bool:
        """At each keep-alive, and when the bell rang for no event: is the job still in the store? Sends the sign of
        life."""
        silent = self._clock.monotonic() - self._spoke_at >= self._pace.keep_alive_seconds
        if not silent and not doubt:
            return True
        try:
            await self._store.get(job.tenant_id, job.id)
        except NotFound:
            await emit(Remark("the job was deleted"))
            return False
        if silent:
            await self._say(Remark("keep-alive"), emit)
        return True

    async def _say(self, frame: Frame, emit: Emit) -> None:
        await emit(frame)
        self._spoke_at = self._clock.monotonic()
