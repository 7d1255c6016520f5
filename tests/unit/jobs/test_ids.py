"""Ids: their form, their order, and what is known not to be one."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from literesearcher.jobs.ids import is_id, new_id


def test_an_id_is_a_uuid7_with_the_time_in_front() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id("job")
    after = time.time_ns() // 1_000_000
    prefix, digits = made.split("_")
    value = uuid.UUID(digits)
    assert (prefix, len(made), value.version, value.variant) == ("job", 36, 7, uuid.RFC_4122)
    assert before <= value.int >> 80 <= after + 1


def test_ids_rise_strictly_also_between_threads() -> None:
    with ThreadPoolExecutor(4) as threads:
        runs = list(threads.map(lambda _: [new_id("job") for _ in range(5000)], range(4)))
    assert all(run == sorted(run) for run in runs)
    assert len({made for run in runs for made in run}) == 20_000


def test_ids_rise_where_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_id("job")
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert first < new_id("job") < new_id("job")


@pytest.mark.parametrize(
    "text",
    ["", "job_", "job_" + "0" * 31, "job_" + "0" * 33, "job_" + "G" * 32, "key_" + "0" * 32, "job_" + "0" * 32 + "\n"],
)
def test_what_is_no_job_id(text: str) -> None:
    assert not is_id(text, "job")
    assert is_id("job_" + "0" * 32, "job")
