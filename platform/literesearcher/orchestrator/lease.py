"""One held job, as the worker's watchers and the job's driver share it.

Owns: the fence, how long the lease surely holds, and the ways in which somebody outside may close the running effect:
a cancel, the job's deadline, the loss of the lease. Refuses to know: stores, engines, the machine.
Above: heartbeat, mailbox and worker ask; the driver obeys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from literesearcher.errors import BoundaryError
from literesearcher.jobs.model import Claim, Job

T = TypeVar("T")


class Lease:
    """A claim with its running effect. `until`: the lease holds at least until then, on `Clock.monotonic()`."""

    def __init__(self, claim: Claim, *, until: float) -> None:
        self.job: Job = claim.job
        self.job_id = claim.job.id
        self.fence = claim.fence
        self.attempt = claim.attempt
        self.until = until
        self.deadline = claim.job.deadline_at.timestamp()
        """Unix seconds; a stored instant, so that downtime counts."""
        # A holder that died may have drained the letter without journalling it; the row still says so.
        self.cancel_reason: str | None = "" if claim.job.status == "cancelling" else None
        self.overdue = False
        self.draining = False
        self.task: asyncio.Task[Any] | None = None
        self._effect: asyncio.Task[Any] | None = None

    @property
    def interrupted(self) -> bool:
        """The job is to end without finishing what it does."""
        return self.cancel_reason is not None or self.overdue

    def ask_cancel(self, reason: str) -> None:
        """Somebody wants the job to end: close the running effect at once."""
        self.cancel_reason = reason
        self._close_effect()

    def pass_deadline(self) -> None:
        """The job's deadline passed: close the running effect at once."""
        self.overdue = True
        self._close_effect()

    def lose(self) -> None:
        """The job is somebody else's, or gone: stop at once and write nothing more."""
        if self.task is not None:
            self.task.cancel()

    async def during(self, effect: Coroutine[Any, Any, T], started: Callable[[], None]) -> T | None:
        """Do the effect; None when an interruption closed it. `started` is called once it is on its way."""
        task = asyncio.create_task(effect)
        self._effect = task
        if self.interrupted:
            task.cancel()
        try:
            await asyncio.sleep(0)
            started()
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self.interrupted and current is not None and not current.cancelling():
                return None
            raise
        except BoundaryError:
            if self.interrupted:
                return None
            raise
        finally:
            self._effect = None
            task.cancel()

    def _close_effect(self) -> None:
        if self._effect is not None:
            self._effect.cancel()
