"""Where a waiting job stands, as its client sees it, and when no more are let in."""

from __future__ import annotations

from datetime import timedelta

from literesearcher.gateway.documents import JobObject, ProblemDocument
from literesearcher.settings.sections import AdmissionSection
from literesearcher.testing.contracts.store_jobs import create, end, now
from literesearcher.testing.journal_events import attempt


async def test_a_waiting_job_shows_its_place_and_a_running_one_none(start) -> None:
    served = await start()
    jobs = [await served.create() for _ in range(3)]
    for position, job_id in enumerate(jobs, start=1):
        _, _, job = await served.call("GET", f"/v1/research/{job_id}")
        JobObject.model_validate(job)
        assert job["queue"] == {"position": position, "start_seconds": None}
    await served.append(jobs[0], attempt())
    _, _, running = await served.call("GET", f"/v1/research/{jobs[0]}")
    assert (running["status"], running["queue"]) == ("running", None)
    _, _, second = await served.call("GET", f"/v1/research/{jobs[1]}")
    assert second["queue"]["position"] == 1
    _, _, page = await served.call("GET", "/v1/research")
    assert [job["queue"] for job in page["data"]] == [None] * 3


async def test_beyond_the_configured_wait_jobs_are_refused_and_known_ones_given(start) -> None:
    """With the time after which to ask again; other priorities and an empty line are let in."""
    served = await start(admission=AdmissionSection(max_wait_seconds=60))
    headers = {"Idempotency-Key": "k"}
    known = await served.create(headers=headers)
    assert await served.create() != known
    await create(served.store, "default", at=now() - timedelta(seconds=90))
    status, answered, problem = await served.call("POST", "/v1/research", json={"input": "q"})
    ProblemDocument.model_validate(problem)
    assert (status, problem["code"]) == (429, "queue_full")
    assert "3 jobs" in problem["detail"]
    assert 25 <= int(answered["Retry-After"]) <= 60
    assert await served.create(headers=headers) == known
    status, _, urgent = await served.call("POST", "/v1/research", json={"input": "q", "priority": 5})
    assert (status, urgent["queue"]["position"]) == (202, 1)
    assert (await served.store.backlog()).queued == 4


async def test_what_jobs_of_late_took_says_when_it_may_start(start) -> None:
    served = await start(admission=AdmissionSection(weights={"default": 2.0}))
    await end(served.store, await create(served.store, "default"))
    await served.append(await served.create(), attempt())
    _, _, job = await served.call("GET", f"/v1/research/{await served.create()}")
    assert job["queue"]["position"] == 1
    assert 0 <= job["queue"]["start_seconds"] < 60
