"""Removal of jobs that ended long ago, hourly, where the operator asked for it.

Owns: when. Refuses to know: what a job's rows are. Below: the store's `Jobs`.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from literesearcher.errors import BoundaryError
from literesearcher.jobs.ports import Jobs
from literesearcher.timing.clock import Clock

LOG = logging.getLogger("literesearcher.orchestrator")
PERIOD_SECONDS = 3600.0


async def purge_forever(store: Jobs, *, clock: Clock, days: float) -> None:
    """Purge now and every hour until cancelled. `days`: how long an ended job is kept."""
    while True:
        try:
            removed = await store.purge(ended_before=clock.now() - timedelta(days=days))
        except BoundaryError as error:
            LOG.warning("ended jobs could not be purged: %s", error.message)
        else:
            if removed:
                LOG.info("%d jobs that ended more than %g days ago were removed", removed, days)
        await clock.sleep(PERIOD_SECONDS)
