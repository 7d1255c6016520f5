"""Ask, watch, reload in mid-run, stop, and see the same tomorrow, with a real worker behind the page."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from browser.conftest import PHONE, Open, Visit
from browser.stories import short_job
from literesearcher.engine.port import GenerationRequest
from literesearcher.research.events import ToolItem
from literesearcher.settings.sections import OrchestratorSection
from literesearcher.testing.bench import Bench
from literesearcher.testing.scripted_engine import ScriptedEngine
from literesearcher.testing.scripted_tools import ScriptedTools, ToolStep
from literesearcher.testing.served_gateway import Served
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.port import ToolResult

SEARCH = (
    "<think>\nSleep is the key.\n</think>\n"
    '<tool_call>\n{"name": "search", "arguments": {"query": ["koala sleep"]}}\n</tool_call>'
)
ANSWER = "<think>\nNow I know.\n</think>\n<answer>Koalas.</answer>"
FOUND = ToolResult(
    "found",
    [
        ToolItem(
            "search",
            "koala sleep",
            ok=True,
            provider="serper",
            results=[{"title": "Koalas", "url": "https://example.org/k"}],
            cache="hit",
            elapsed_seconds=0.1,
        )
    ],
)


class Stage:
    """A worker whose second turn waits until the test lets it speak."""

    def __init__(self, served: Served, *steps: Any) -> None:
        self.speak = asyncio.Event()
        self.waits = asyncio.Event()

        async def last(_: GenerationRequest) -> str:
            self.waits.set()
            await self.speak.wait()
            return ANSWER

        self.engine = ScriptedEngine([*steps, last])
        self.bench = Bench(
            store=served.store,
            live=served.live,
            clock=SystemClock(),
            engine=self.engine,
            tools=ScriptedTools([ToolStep("search", FOUND)] if steps else []),
            orchestrator=OrchestratorSection(poll_seconds=0.02),
        )


async def ask(visit: Visit, question: str) -> None:
    await visit.open()
    await visit.page.get_by_label("Your question").fill(question)
    await visit.page.get_by_role("button", name="Ask", exact=True).click()
    await visit.page.wait_for_url(re.compile("#/jobs/job_"))


async def test_ask_watch_reload_and_read(served: Served, visit: Visit) -> None:
    stage, page = Stage(served, SEARCH), visit.page
    async with stage.bench.serving():
        await ask(visit, "Which animal sleeps longest?")
        await asyncio.wait_for(stage.waits.wait(), 60)
        for _ in range(2):
            await page.get_by_text("Sleep is the key.").wait_for()
            await page.get_by_text("from the cache").wait_for()
            assert await page.get_by_role("heading", name="Which animal sleeps longest?").is_visible()
            assert await page.get_by_text("koala sleep").is_visible()
            assert await page.locator(".status .state").inner_text() == "Running"
            await page.get_by_text("Turn 2: the model is reading.").wait_for()
            assert "1 turn · 1 tool call" in await page.locator("#facts").inner_text()
            assert await page.locator(".elapsed").inner_text()
            assert await page.locator(".step").count() == 2
            await page.reload()
        stage.speak.set()
        await page.get_by_role("heading", name="Answer").wait_for()
    assert await page.locator(".answer .passage").inner_text() == "Koalas."
    assert await page.locator(".status .state").inner_text() == "Completed"
    assert not await page.get_by_role("button", name="Stop").is_visible()
    told = await page.locator("article").inner_text()
    await page.reload()
    await page.get_by_role("heading", name="Answer").wait_for()
    await page.get_by_text("Now I know.").wait_for()
    assert await page.locator("article").inner_text() == told


async def test_live_text_is_shown_as_it_is_written(served: Served, visit: Visit) -> None:
    job_id = await served.create()
    from literesearcher.jobs.live import Delta
    from literesearcher.testing.journal_events import attempt, turn_started

    await served.append(job_id, attempt(), turn_started(1))
    await visit.open(f"#/jobs/{job_id}")
    await visit.page.locator(".step.running").wait_for()
    await served.live.publish(Delta(job_id, 1, 1, 0, "<think>\nHmm \U0001f428, "))
    await visit.page.get_by_text("Hmm").wait_for()
    await served.live.publish(Delta(job_id, 1, 1, 15, "so it is."))
    await visit.page.get_by_text("so it is.").wait_for()
    assert await visit.page.locator("p.live").inner_text() == "Hmm \U0001f428, so it is."
    await visit.page.reload()
    await visit.page.get_by_text("Hmm \U0001f428, so it is.").wait_for()
    await served.live.publish(Delta(job_id, 1, 1, 0, "", kind="restarted"))
    await visit.page.locator("p.live").wait_for(state="detached")


async def test_stop(served: Served, visit: Visit) -> None:
    stage, page = Stage(served), visit.page
    async with stage.bench.serving():
        await ask(visit, "Endless?")
        await asyncio.wait_for(stage.waits.wait(), 60)
        await page.get_by_role("button", name="Stop").click()
        await page.get_by_text("Stopped on request").wait_for()
    assert await page.locator(".status .state").inner_text() == "Cancelled"
    assert await page.get_by_role("status").inner_text() == "The job is cancelled"


async def test_a_connection_that_breaks_is_joined_again_where_it_was(served: Served, visit: Visit) -> None:
    from literesearcher.testing.journal_events import attempt, turn_completed, turn_started

    visit.expected = ("ERR_INTERNET_DISCONNECTED", "ERR_FAILED")
    job_id = await served.create()
    await served.append(job_id, attempt(), turn_started(1), turn_completed(1, "<think>\nFirst.\n</think>"))
    asked: list[str] = []
    page = visit.page
    page.on(
        "request",
        lambda request: asked.append(request.headers.get("last-event-id", "")) if "/events" in request.url else None,
    )
    broken = True

    async def stand_in(route: Any) -> None:
        journal = "".join(
            f"id: {row.seq}\nevent: {row.type}\ndata: {_event(row)}\n\n" for row in await served.store.read(job_id)
        )
        if broken:
            await route.fulfill(
                status=200, content_type="text/event-stream", body=journal + ": the server is closing\n\n"
            )
        else:
            await route.continue_()

    await page.route("**/events", stand_in)
    await visit.open(f"#/jobs/{job_id}")
    await page.get_by_text("First.").wait_for()
    await page.get_by_text("The connection is lost; trying again.").wait_for()
    broken = False
    await served.append(job_id, turn_started(2), turn_completed(2, "<think>\nSecond.\n</think>"))
    await page.get_by_text("Second.").wait_for()
    assert await page.get_by_text("First.").count() == 1
    assert (asked[0], "4" in asked) == ("", True)
    await page.get_by_text("The connection is lost").wait_for(state="detached")


def _event(row: Any) -> str:
    import json

    from literesearcher.gateway.public import event_object

    return json.dumps(event_object(row))


async def test_a_queued_job_says_where_it_stands_and_a_deleted_one_that_it_is_gone(
    served: Served, visit: Visit
) -> None:
    visit.expected = ("404",)
    await served.create("first")
    job_id = await served.create("second")
    await visit.open(f"#/jobs/{job_id}")
    await visit.page.get_by_text("Place 2 in the queue").wait_for()
    await served.call("DELETE", f"/v1/research/{job_id}")
    await visit.page.get_by_role("heading", name="This job was deleted").wait_for()


async def test_options_reach_the_job_and_a_wrong_one_is_told_beside_its_field(served: Served, visit: Visit) -> None:
    visit.expected = ("422",)
    page = visit.page
    await visit.open()
    await page.get_by_label("Your question").fill("Who?")
    await page.get_by_text("Options").click()
    await page.get_by_label("Model turns").fill("5000")
    await page.get_by_label("Minutes").fill("10")
    await page.get_by_label("Only these sites").fill("https://python.org/docs, .edu")
    await page.get_by_label("Published from").fill("2020-01-31")
    await page.get_by_label("Cache of pages and searches").select_option("bypass")
    await page.get_by_label("Priority").fill("7")
    await page.get_by_role("button", name="Ask", exact=True).click()
    await page.get_by_text("less than or equal to 1000").wait_for()
    assert await page.evaluate("document.activeElement.id") == "option-limits-max_turns"
    assert await page.get_by_label("Model turns").get_attribute("aria-invalid") == "true"
    await page.get_by_label("Model turns").fill("many")
    await page.get_by_role("button", name="Ask", exact=True).click()
    await page.get_by_text("Write a number.").wait_for()
    await page.get_by_label("Model turns").fill("12")
    await page.get_by_role("button", name="Ask", exact=True).click()
    await page.wait_for_url(re.compile("#/jobs/job_"))
    [job] = (await served.store.list("default")).jobs
    created = (await served.store.read(job.id))[0].payload
    assert (created["limits"]["max_turns"], created["limits"]["timeout_seconds"]) == (12, 600.0)
    assert created["tools"]["cache"] == "bypass"
    assert list(created["tools"]["sources"]["allow_domains"]) == ["python.org", ".edu"]
    assert created["tools"]["sources"]["published_after"] == "2020-01-31"
    assert job.priority == 7


async def test_the_answer_stands_beside_its_sources(served: Served, visit: Visit) -> None:
    job_id = await short_job(served)
    page = visit.page
    await visit.open(f"#/jobs/{job_id}")
    await page.get_by_text("Koalas sleep up to 22 hours a day.").wait_for()
    answer, sources = await page.locator(".answer").bounding_box(), await page.locator(".sources").bounding_box()
    assert answer["x"] + answer["width"] <= sources["x"]
    assert abs(answer["y"] - sources["y"]) < 2
    link = page.locator(".answer a")
    assert await link.get_attribute("href") == "https://example.org/koala"
    assert await link.get_attribute("rel") == "noopener noreferrer"
    await page.get_by_role("button", name="Where Koalas at rest was read").click()
    assert await page.evaluate("document.activeElement.dataset.turn") == "2"


async def test_phone_and_desk_show_the_same(served: Served, visiting: Open) -> None:
    job_id = await short_job(served)
    phone = await visiting(served, viewport=PHONE, has_touch=True, is_mobile=True)
    for place in ("#/", "#/jobs", f"#/jobs/{job_id}"):
        await phone.open(place)
        await phone.page.get_by_role("heading", level=1).wait_for()
        await phone.page.get_by_text("Which animal").first.wait_for()
        assert await phone.fits(), place
    await phone.page.get_by_text("Koalas sleep up to 22 hours a day.").wait_for()
    await phone.page.get_by_text("As a table").click()
    await phone.page.get_by_role("table").wait_for()
    assert await phone.fits()
