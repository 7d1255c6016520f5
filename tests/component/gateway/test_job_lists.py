"""The filters of the list of jobs, and what is no filter."""

from __future__ import annotations

from typing import Any

import pytest

from literesearcher.testing.served_gateway import Served


async def listed(served: Served, **query: str) -> tuple[int, Any]:
    status, _, body = await served.call("GET", "/v1/research", params=query)
    return status, body


async def test_filters_by_text_and_time_go_together(served: Served) -> None:
    old = await served.create("Where do koalas sleep?")
    other = await served.create("Where do 100% of bats sleep?")
    status, body = await listed(served, text="KOALAS")
    assert (status, [job["id"] for job in body["data"]], body["next_cursor"]) == (200, [old], None)
    _, body = await listed(served, text="%")
    assert [job["id"] for job in body["data"]] == [other]
    at = (await served.call("GET", f"/v1/research/{old}"))[2]["created_at"]
    _, body = await listed(served, text="sleep", created_from=at)
    assert [job["id"] for job in body["data"]] == [other, old]
    _, body = await listed(served, text="sleep", created_before=at)
    assert body["data"] == []
    _, body = await listed(served, text="sleep", status="completed")
    assert body["data"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"text": "x" * 201}, "text"),
        ({"text": "\x00"}, "text"),
        ({"created_from": "yesterday"}, "created_from"),
        ({"created_before": "2026-01-31T12:00:00"}, "created_before"),
        ({"q": "koala"}, "q"),
    ],
)
async def test_what_is_no_filter_is_named(served: Served, query: dict[str, str], field: str) -> None:
    status, problem = await listed(served, **query)
    assert (status, problem["field"]) == (422, field)
