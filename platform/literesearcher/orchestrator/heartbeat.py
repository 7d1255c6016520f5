"""The leases that this worker holds, renewed all in one call at a third of their length.

Owns: which jobs are held, and how news of a lease reaches its job: lost, letters to fetch, or no answer until it ran
out. Refuses to know: what a job does. Below: the store's `Queue` and `Inbox`.
"""

from __future__ import annotations

import asyncio
import logging

from literesearcher.errors import BoundaryError, LeaseLost
from literesearcher.jobs.live import Live, inbox_topic
from literesearcher.jobs.ports import Store
from literesearcher.orchestrator.lease import Lease
from literesearcher.timing.clock import Clock

LOG = logging.getLogger("literesearcher.orchestrator")
BELL_SECONDS = 60.0
"""Bounds one wait on a bell; a letter that rang no bell is found by the heartbeat."""


class Heartbeat:
    """Held leases by job id. `beat_forever` runs beside the jobs."""

    def __init__(self, *, store: Store, live: Live, clock: Clock, lease_seconds: float) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._held: dict[str, Lease] = {}

    def add(self, lease: Lease) -> None:
        """Renew this lease from now on."""
        self._held[lease.job_id] = lease

    def remove(self, lease: Lease) -> None:
        """Renew it no more. A newer lease on the same job stays."""
        if self._held.get(lease.job_id) is lease:
            del self._held[lease.job_id]

    async def beat_forever(self) -> None:
        """Renew until cancelled."""
        while True:
            await self._clock.sleep(self._lease_seconds / 3)
            if self._held:
                await self.beat()

    async def beat(self) -> None:
        """Renew once; stop the jobs whose lease is lost and fetch the letters of the others."""
        held = dict(self._held)
        # From before the call, so that `until` is never later than what the store's clock allows.
        until = self._clock.monotonic() + self._lease_seconds
        try:
            renewal = await self._store.renew(
                [(lease.job_id, lease.fence) for lease in held.values()], lease_seconds=self._lease_seconds
            )
        except BoundaryError as error:
            LOG.warning("%d leases could not be renewed: %s", len(held), error.message)
            for lease in held.values():
                if self._clock.monotonic() >= lease.until:
                    lease.lose()
            return
        for job_id, lease in held.items():
            if job_id in renewal.lost:
                LOG.info("job %s is somebody else's now", job_id)
                lease.lose()
            else:
                lease.until = until
        await asyncio.gather(*(self._fetch(held[job_id]) for job_id in renewal.letters if job_id in held))

    async def watch(self, lease: Lease) -> None:
        """Fetch the job's letters when its bell rings, until cancelled."""
        async with self._live.listen(inbox_topic(lease.job_id)) as bell:
            await self._fetch(lease)
            while True:
                if await bell.wait(BELL_SECONDS):
                    await self._fetch(lease)

    async def await_deadline(self, lease: Lease) -> None:
        """Tell the job when its deadline passes."""
        while (left := lease.deadline - self._clock.now().timestamp()) > 0:
            # Asked again now and then: a suspended machine's monotonic clock stood still.
            await self._clock.sleep(min(left, BELL_SECONDS))
        lease.pass_deadline()

    async def _fetch(self, lease: Lease) -> None:
        try:
            letters = await self._store.drain(lease.job_id, lease.fence)
        except LeaseLost:
            lease.lose()
            return
        except BoundaryError as error:
            LOG.warning("letters of job %s could not be read: %s", lease.job_id, error.message)
            return
        for letter in letters:
            if letter.kind == "cancel":
                lease.ask_cancel(str(letter.body.get("reason", "")))
