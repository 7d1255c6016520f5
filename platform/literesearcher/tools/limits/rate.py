"""A bucket with a line before it: wait for a token, unless the wait would pass the deadline.

Owns: who waits, when the bucket is asked. Refuses to know: where the bucket lives. Above: `tools.governor`. Below:
`limits.bucket`, `limits.line`. Where nobody waits and the bucket is of this process, a token costs no task; where
somebody does, one task asks for all of them.
"""

from __future__ import annotations

import asyncio
import functools

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock
from literesearcher.tools.limits.bucket import LocalBucket
from literesearcher.tools.limits.line import Line
from literesearcher.tools.limits.shared_bucket import SharedBucket


def busy(name: str, wait_seconds: float | None = None) -> BoundaryError:
    """What a wait past the deadline raises instead of beginning."""
    return BoundaryError(
        f"{name} is asked as often as it may be, and the deadline is before the next turn",
        code="provider_busy",
        transient=True,
        retry_after=wait_seconds,
    )


def closed() -> BoundaryError:
    """Whoever still waits when the tools are closed."""
    return BoundaryError("the tools were closed", code="tools_closed")


class RateGate:
    """One provider's, or one site's. `name` is for error messages."""

    def __init__(self, name: str, bucket: LocalBucket | SharedBucket, *, clock: Clock) -> None:
        self._name = name
        self._bucket = bucket
        self._local = bucket.local if isinstance(bucket, SharedBucket) else bucket
        self._clock = clock
        self._line = Line()
        self._server: asyncio.Task[None] | None = None
        self._asks_at = 0.0
        self._pauses_seen = 0

    @property
    def idle(self) -> bool:
        """Nobody waits, and nothing is remembered that a gate just made would not know."""
        return not self._line and self._local.least_wait(self._local.burst) == 0

    @property
    def paused(self) -> bool:
        """As far as this process knows."""
        return self._local.paused_seconds > 0

    async def enter(self, tenant_id: str, deadline: float, *, patient: bool = True) -> str:
        """A token, and what a wait for it was for: `rate` or `retry_after`. `patient` False: at once or not at all.

        `BoundaryError` provider_busy, with the seconds to wait in `retry_after`, where the deadline comes first.
        """
        if self._bucket is self._local and not self._line and self._local.take_now({tenant_id: 1}).tokens:
            return "rate"
        wait = self._least_wait(tenant_id)
        if wait > 0 and (not patient or self._clock.monotonic() + wait >= deadline):
            raise busy(self._name, wait)
        if not patient:
            if self._line or not (await self._bucket.take({tenant_id: 1}, patient=False)).tokens:
                raise busy(self._name)
            return "rate"
        waiter = self._line.join(tenant_id, deadline)
        if self._server is None:
            self._server = asyncio.create_task(self._serve())
            self._server.add_done_callback(self._ended)
        before = self._pauses_seen
        try:
            await waiter.served
        finally:
            self._line.leave(waiter)
        return "rate" if self._pauses_seen == before else "retry_after"

    async def pause(self, seconds: float) -> None:
        """Nobody enters for so long; whoever's deadline is before the end is told so at once."""
        self._local.pause_now(seconds)
        wait = self._local.paused_seconds
        self._line.refuse_before(self._clock.monotonic() + wait, functools.partial(busy, self._name, wait))
        if self._bucket is not self._local:
            await self._bucket.pause(seconds)

    def refuse_hopeless(self, deadline: float) -> None:
        """Raises where a pause outlasts the deadline, so that nobody first waits for something else."""
        wait = self._local.paused_seconds
        if wait > 0 and self._clock.monotonic() + wait >= deadline:
            raise busy(self._name, wait)

    def refuse_all(self, error: BoundaryError, tenant_id: str | None = None) -> None:
        """Whoever waits now (of this tenant) gets this error."""
        self._line.refuse_all(
            lambda: BoundaryError(
                error.message, code=error.code, transient=error.transient, retry_after=error.retry_after
            ),
            tenant_id,
        )

    def _least_wait(self, tenant_id: str) -> float:
        wait = self._local.least_wait(self._line.ahead(tenant_id) + 1)
        return max(wait, self._asks_at - self._clock.monotonic()) if self._line else wait

    async def _serve(self) -> None:
        while self._line:
            granted = await self._bucket.take(self._line.counts())
            self._pauses_seen += granted.paused
            for tenant_id, number in granted.tokens.items():
                for _ in range(number):
                    self._line.serve(tenant_id)
            if self._line and granted.wait_seconds > 0:
                self._asks_at = self._clock.monotonic() + granted.wait_seconds
                self._line.refuse_before(self._asks_at, functools.partial(busy, self._name, granted.wait_seconds))
                await self._clock.sleep(granted.wait_seconds)
        # Here and not when the task is seen to have ended, which is a turn of the loop later: whoever joins in between
        # must find that nobody serves.
        self._rest()

    def _rest(self) -> None:
        self._server = None
        self._asks_at = 0.0

    def _ended(self, server: asyncio.Task[None]) -> None:
        if self._server is not server:
            return
        self._rest()
        error = None if server.cancelled() else server.exception()
        self._line.refuse_all(closed if not isinstance(error, Exception) else lambda: error)

    async def aclose(self) -> None:
        """Safe to call twice."""
        self._line.refuse_all(closed)
        if self._server is not None:
            server = self._server
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)
