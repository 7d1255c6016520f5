"""A program that creates a job and appends to it until it is killed, saying each number once it is committed.

Arguments: the store's URL, and how many events each append holds.
"""

from __future__ import annotations

import asyncio
import sys

from literesearcher.jobs.sql_store import open_store
from literesearcher.testing.contracts.store_jobs import create, now, tool


async def write(url: str, events: int) -> None:
    store = await open_store(url)
    job = await create(store, "writer")
    (claim,) = await store.claim("writer", lease_seconds=2.0, job_id=job.id)
    print(job.id, flush=True)
    seq = 2
    while True:
        batch = [tool(seq + index) for index in range(events)]
        await store.append(job.id, fence=claim.fence, expected_seq=seq, attempt=1, at=now(), events=batch)
        await store.renew([(job.id, claim.fence)], lease_seconds=2.0)
        seq += events
        print(seq - 1, flush=True)


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2])))
