"""The store's contract: lists of jobs, page by page, and their filters. Part of `testing.contracts.store`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from literesearcher.errors import CallerError
from literesearcher.jobs import pages
from literesearcher.jobs.model import Job, JobFilter
from literesearcher.jobs.ports import Store
from literesearcher.testing.contracts.store_jobs import create, end, now, wish


async def asking(store: Store, question: str, *, tenant: str = "acme", at: datetime | None = None) -> str:
    """The id of a job that asks this."""
    new = wish(tenant, at=at)
    job, _ = await store.create(replace(new, created=replace(new.created, input=question)))
    return job.id


class PagesContract:
    """`store` is a fixture of the subclass."""

    async def test_pages_are_stable_while_jobs_come_in(self, store: Store) -> None:
        """Newest first, each exactly once, equal instants included; what came in later is not among them."""
        at = now()
        jobs: list[Job] = [await create(store, at=at + timedelta(milliseconds=index // 3)) for index in range(10)]
        await create(store, "other", at=at)
        seen: list[str] = []
        cursor = None
        while True:
            page = await store.list("acme", cursor=cursor, limit=3)
            assert len(page.jobs) <= 3
            seen += [job.id for job in page.jobs]
            cursor = page.next_cursor
            if cursor is None:
                break
            await create(store, at=at + timedelta(hours=1))
        expected = sorted(jobs, key=lambda job: (job.created_at, job.id), reverse=True)
        assert seen == [job.id for job in expected]

    async def test_a_page_of_one_status(self, store: Store) -> None:
        """The filter holds over pages, and an exactly full last page has no cursor."""
        jobs = [await create(store) for _ in range(5)]
        for job in jobs[:4]:
            await end(store, job)
        first = await store.list("acme", only=JobFilter(status="completed"), limit=2)
        second = await store.list("acme", only=JobFilter(status="completed"), limit=2, cursor=first.next_cursor)
        assert {job.id for job in first.jobs + second.jobs} == {job.id for job in jobs[:4]}
        assert second.next_cursor is None
        assert [job.id for job in (await store.list("acme", only=JobFilter(status="queued"))).jobs] == [jobs[4].id]

    async def test_a_search_in_questions(self, store: Store) -> None:
        """Case of ASCII letters aside, everything else as it stands, another tenant's questions never."""
        asked = ["How many KOALAS?", "koala 100% sure", "koala 100 sure", "wer fährt_wo", "Кто?"]
        ids = [await asking(store, question) for question in asked]
        await asking(store, "koala", tenant="other")

        async def found(text: str | None, **only: Any) -> set[int]:
            page = await store.list("acme", only=JobFilter(text=text, **only))
            assert page.next_cursor is None
            return {ids.index(job.id) for job in page.jobs}

        assert await found("Koala") == {0, 1, 2}
        assert await found("100%") == {1}
        assert await found("t_w") == {3}
        assert await found("Кто") == {4}
        assert await found("\\") == await found("'; DROP TABLE jobs; --") == set()
        assert await found("") == await found(None) == {0, 1, 2, 3, 4}
        assert await found("koala", status="queued") == {0, 1, 2}
        assert await found("koala", status="running") == set()

    @pytest.mark.parametrize("text", ["\x00", "\ud800", "x" * 201])
    async def test_a_text_that_no_question_holds(self, store: Store, text: str) -> None:
        """CallerError with the field."""
        with pytest.raises(CallerError) as caught:
            await store.list("acme", only=JobFilter(text=text))
        assert caught.value.field == "text"

    async def test_a_search_goes_on_where_a_page_stopped(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """A page looks through a bounded number of jobs, and all pages together through all, each job once."""
        monkeypatch.setattr(pages, "LOOKED_THROUGH", 4)
        at = now()
        asked = ["old koala", *["other"] * 6, "a koala", "koala b", *["other"] * 3, "koala c", "last koala"]
        ids = [await asking(store, question, at=at + timedelta(seconds=n)) for n, question in enumerate(asked)]
        seen: list[int] = []
        cursor, turns = None, 0
        while turns == 0 or cursor is not None:
            page = await store.list("acme", only=JobFilter(text="koala"), cursor=cursor, limit=2)
            seen += [ids.index(job.id) for job in page.jobs]
            cursor, turns = page.next_cursor, turns + 1
        assert seen == [13, 12, 8, 7, 0]
        assert turns > 3

    async def test_a_page_of_a_time(self, store: Store) -> None:
        """From an instant, included, to another, not included; over pages too."""
        at = now().replace(microsecond=0)
        ids = [await asking(store, "q", at=at + timedelta(hours=n)) for n in range(6)]
        only = JobFilter(created_from=at + timedelta(hours=1), created_before=at + timedelta(hours=5))
        first = await store.list("acme", only=only, limit=3)
        second = await store.list("acme", only=only, limit=3, cursor=first.next_cursor)
        assert [ids.index(job.id) for job in first.jobs + second.jobs] == [4, 3, 2, 1]
        assert second.next_cursor is None

    @pytest.mark.parametrize("cursor", ["", "x", "W10", "WzEsMl0", "é", "\ud800", "'; DROP TABLE jobs; --", "A" * 5000])
    async def test_a_cursor_not_made_here(self, store: Store, cursor: str) -> None:
        """CallerError with the field, never a wrong page."""
        with pytest.raises(CallerError) as caught:
            await store.list("acme", cursor=cursor)
        assert caught.value.field == "cursor"

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    async def test_a_limit_out_of_range(self, store: Store, limit: int) -> None:
        """CallerError with the field."""
        with pytest.raises(CallerError) as caught:
            await store.list("acme", limit=limit)
        assert caught.value.field == "limit"
