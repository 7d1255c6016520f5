"""The list of jobs: its filters, its search, and that both are there after a reload."""

from __future__ import annotations

import pytest

from browser.conftest import Visit
from browser.stories import short_job
from literesearcher.jobs import pages
from literesearcher.testing.served_gateway import Served


async def shown(visit: Visit) -> list[str]:
    return list(await visit.page.locator(".row-question").all_inner_texts())


async def test_filters_and_search(served: Served, visit: Visit) -> None:
    await short_job(served, "Where do koalas sleep?")
    await served.create("Where do bats sleep?")
    page = visit.page
    await visit.open("#/jobs")
    await page.get_by_text("bats").wait_for()
    assert await shown(visit) == ["Where do bats sleep?", "Where do koalas sleep?"]
    await page.get_by_label("Question holds").fill("KOALA")
    await page.get_by_text("bats").wait_for(state="detached")
    await page.reload()
    await page.get_by_text("koalas").wait_for()
    assert await shown(visit) == ["Where do koalas sleep?"]
    assert await page.get_by_label("Question holds").input_value() == "KOALA"
    await page.get_by_label("State").select_option("queued")
    await page.get_by_text("No job fits these filters.").wait_for()
    await page.get_by_label("Question holds").fill("")
    await page.get_by_text("bats").wait_for()
    await page.get_by_label("Until day").fill("2020-01-01")
    await page.get_by_text("No job fits these filters.").wait_for()
    await page.get_by_label("Until day").fill("")
    await page.get_by_text("bats").click()
    await page.get_by_role("heading", name="Where do bats sleep?").wait_for()
    await page.go_back()
    assert await page.get_by_label("State").input_value() == "queued"


@pytest.mark.parametrize("place", ["from", "until"])
async def test_a_day_that_is_none_is_told_of_and_holds_nothing_up(served: Served, visit: Visit, place: str) -> None:
    await served.create("Where do bats sleep?")
    visit.expected = ("422",)
    await visit.open(f"#/jobs?{place}=12345-01-01")
    await visit.page.locator("p.fault:not(:empty)").wait_for()
    await visit.page.get_by_label(f"{place.title()} day").fill("")
    await visit.page.get_by_text("bats").wait_for()
    assert await shown(visit) == ["Where do bats sleep?"]


async def test_a_new_job_comes_in_by_itself_and_older_ones_on_request(served: Served, visit: Visit) -> None:
    for number in range(30):
        await served.create(f"Question {number}?")
    page = visit.page
    await visit.open("#/jobs")
    await page.get_by_text("Question 29?").wait_for()
    assert len(await shown(visit)) == 25
    await served.create("The newest?")
    await page.get_by_text("The newest?").wait_for()
    await page.get_by_role("button", name="Show older jobs").click()
    await page.get_by_text("Question 0?", exact=True).wait_for()
    assert len(set(await shown(visit))) == 31
    assert await page.evaluate("document.activeElement.className") == "row"


async def test_a_search_looks_beyond_its_first_page(
    served: Served, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "LOOKED_THROUGH", 3)
    await served.create("The oldest koala?")
    for number in range(12):
        await served.create(f"Question {number}?")
    await visit.open("#/jobs?text=koala")
    await visit.page.get_by_text("The oldest koala?").wait_for()
