"""A payload that is damaged in the store is said to be that, with the event's number; it is no crash of the reader."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.jobs.sql_store import open_store
from literesearcher.research.prompts import Prompts
from literesearcher.settings.sections import ResearchSection


@pytest.mark.parametrize("payload", ["{half", "[]", '{"input": 5}'])
async def test_reading_a_damaged_event(tmp_path: Path, payload: str):
    file = tmp_path / "jobs.sqlite3"
    store = await open_store(f"sqlite:///{file}")
    try:
        new = new_job(
            JobSpec(input="Who?"),
            tenant_id="default",
            research=ResearchSection(),
            prompts=Prompts.of(),
            now=datetime.now(UTC),
            fidelity="improved",
        )
        job, _ = await store.create(new)
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE events SET payload = ? WHERE job_id = ?", (payload, job.id))
        with pytest.raises(BoundaryError, match=f"event 1 of {job.id}") as caught:
            await store.read(job.id)
        assert (caught.value.code, caught.value.transient) == ("store_corrupt", False)
    finally:
        await store.aclose()
