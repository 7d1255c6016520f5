"""Conversions in processes of their own: a page that hangs, crashes or eats memory costs itself and nothing else.

Owns: at most so many workers, started at the first page that needs one, ended when one takes too long, is given up on,
or breaks. Refuses to know: forms, which pages come here. Above: `text`. Below: `reading.conversion_worker`,
`limits.slots`, which shares the turns between tenants and keeps the last for whoever comes next.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Any

import orjson

from literesearcher.errors import BoundaryError
from literesearcher.reading.conversion import Converted
from literesearcher.reading.conversion_worker import FRAME
from literesearcher.timing.clock import Clock, SystemClock
from literesearcher.tools.limits.slots import Slots

WORKERS = 3
"""So that a tenant has two where others read pages too."""
SECONDS = 15.0
_WAITS = 4
"""A page waits for its turn as long as so many before it may take."""
_SPARE_SECONDS = 5
"""Of the processor, before the system ends a worker that nobody has ended in time."""
MEMORY_BYTES = 2_000_000_000
"""Of address space, a worker. The hungriest page of 10 MB that is known takes 0.9 GB."""
_STREAM_BYTES = 1_048_576


class Workshop:
    """One a process, used in one event loop."""

    def __init__(
        self,
        *,
        workers: int = WORKERS,
        seconds: float = SECONDS,
        clock: Clock | None = None,
        memory_bytes: int = MEMORY_BYTES,
        command: tuple[str, ...] = (sys.executable, "-P", "-m", "literesearcher.reading.conversion_worker"),
    ) -> None:
        """`seconds`: of one conversion; a page waits four times as long for its turn."""
        self._seconds = seconds
        self._command = (*command, str(memory_bytes), str(math.ceil(seconds) + _SPARE_SECONDS))
        self._clock = clock or SystemClock()
        self._turns = Slots("page reader", workers, clock=self._clock)
        self._all: set[Process] = set()
        self._idle: list[Process] = []
        self._closed = False

    async def convert(self, body: bytes, *, tenant_id: str = "", **options: Any) -> Converted:
        """As `reading.conversion.converted`; `page_unreadable` also for a page that broke its worker."""
        if self._closed:
            raise BoundaryError("the page readers are closed", code="page_unreadable")
        try:
            await self._turns.take(tenant_id, self._clock.monotonic() + _WAITS * self._seconds)
        except BoundaryError:
            raise BoundaryError("too many pages at once", code="page_unreadable", transient=True) from None
        try:
            return await self._turn(body, options)
        finally:
            self._turns.release(tenant_id)

    async def _turn(self, body: bytes, options: dict[str, Any]) -> Converted:
        worker: Process | None = None
        whole = False
        try:
            async with asyncio.timeout(self._seconds):
                worker = await self._worker()
                facts, text = await _ask(worker, body, options)
            whole = True
        except TimeoutError:
            raise BoundaryError("the page took too long to read", code="page_unreadable") from None
        except (asyncio.IncompleteReadError, OSError):
            raise BoundaryError("the page could not be read", code="page_unreadable") from None
        finally:
            if worker is not None:
                await self._put_back(worker, whole)
        if "error" in facts:
            raise BoundaryError(facts["error"], code="page_unreadable", transient=facts["transient"])
        return Converted(text.decode("utf-8", "replace"), **facts)

    async def _worker(self) -> Process:
        while self._idle:
            worker = self._idle.pop()
            if worker.returncode is None:
                return worker
            self._all.discard(worker)
        worker = await asyncio.create_subprocess_exec(
            *self._command,
            str(os.getpid()),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=_STREAM_BYTES,
            # It reads what strangers wrote, so nothing of the settings and their secrets goes with it.
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"},
        )
        self._all.add(worker)
        if self._closed:
            _kill(worker)
        return worker

    async def _put_back(self, worker: Process, whole: bool) -> None:
        if whole and not self._closed:
            self._idle.append(worker)
            return
        self._all.discard(worker)
        await _end(worker)

    async def aclose(self) -> None:
        """End every worker; what they were at is lost. Safe to call twice."""
        self._closed = True
        self._turns.close()
        idle, self._idle = self._idle, []
        for worker in self._all:
            _kill(worker)
        for worker in idle:
            self._all.discard(worker)
            await _end(worker)
        for worker in list(self._all):  # of a page that learns so by itself
            await worker.wait()


async def _ask(worker: Process, body: bytes, options: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    line = orjson.dumps(options)
    worker.stdin.write(FRAME.pack(len(line), len(body)) + line)
    worker.stdin.write(body)
    await worker.stdin.drain()
    facts, size = FRAME.unpack(await worker.stdout.readexactly(FRAME.size))
    answer: dict[str, Any] = orjson.loads(await worker.stdout.readexactly(facts))
    return answer, await worker.stdout.readexactly(size)


def _kill(worker: Process) -> None:
    if worker.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()


async def _end(worker: Process) -> None:
    _kill(worker)
    # Its pipes are emptied too: a worker killed in the middle of an answer leaves half of it there.
    await worker.communicate()
