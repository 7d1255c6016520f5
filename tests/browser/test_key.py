"""Where the API key goes: into a header of requests to this server, and into no storage that outlives the tab unless
its owner says so."""

from __future__ import annotations

from typing import Any

from browser.conftest import Open, Visit, listen
from browser.stories import short_job
from literesearcher.testing.served_gateway import Served

STORED = "[JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie, location.href]"


async def keyed(served: Served, visiting: Open) -> tuple[Visit, str]:
    _, token = await served.store.create_key("acme", "laptop")
    visit = await visiting(served)
    visit.expected = ("401",)
    await visit.open("#/jobs")
    return visit, token


async def enter(page: Any, token: str, *, keep: bool = False) -> None:
    await page.get_by_label("Key", exact=True).fill(token)
    if keep:
        await page.get_by_label("Keep it in this browser").check()
    await page.get_by_role("button", name="Use key").click()


async def test_a_key_lasts_as_long_as_its_tab(served: Served, visiting: Open) -> None:
    visit, token = await keyed(served, visiting)
    page = visit.page
    auth = {"Authorization": f"Bearer {token}"}
    sent: list[tuple[str, str | None]] = []
    page.on("request", lambda request: sent.append((request.url, request.headers.get("authorization"))))
    await page.get_by_role("dialog", name="API key").wait_for()
    await enter(page, "lr_wrong_wrong")
    await page.get_by_text("the API key is unknown or was revoked").wait_for()
    await enter(page, "no key\u00e9")
    await page.get_by_text("A key has the form lr_ID_SECRET.").wait_for()
    await enter(page, token)
    await page.get_by_text("There are no jobs yet.").wait_for()
    job_id = await short_job(served, headers=auth)
    await visit.open(f"#/jobs/{job_id}")
    await page.get_by_text("Koalas sleep up to 22 hours a day.").wait_for()
    await page.reload()
    await page.get_by_text("Koalas sleep up to 22 hours a day.").wait_for()
    session, local, cookie, href = await page.evaluate(STORED)
    assert token in session
    assert token not in local + cookie + href
    assert token not in await page.content()
    streams = [key for url, key in sent if url.endswith("/events")]
    assert streams
    assert set(streams) == {f"Bearer {token}"}
    assert not [url for url, _ in sent if token in url]

    other = await visit.context.new_page()
    listen(visit, other)
    await other.goto(f"{served.base}/#/jobs")
    await other.get_by_role("dialog", name="API key").wait_for()
    assert token not in str(await other.evaluate(STORED))


async def test_a_key_is_kept_where_its_owner_says_so_and_forgotten_everywhere(served: Served, visiting: Open) -> None:
    visit, token = await keyed(served, visiting)
    page = visit.page
    await enter(page, token, keep=True)
    await page.get_by_text("There are no jobs yet.").wait_for()
    other = await visit.context.new_page()
    listen(visit, other)
    await other.goto(f"{served.base}/#/jobs")
    await other.get_by_text("There are no jobs yet.").wait_for()
    await other.get_by_role("button", name="API key: set").click()
    await other.get_by_role("button", name="Forget key").click()
    await other.get_by_role("dialog", name="API key").wait_for()
    assert token not in str(await other.evaluate(STORED))


async def test_a_revoked_key_is_told_of(served: Served, visiting: Open) -> None:
    visit, token = await keyed(served, visiting)
    await enter(visit.page, token)
    await visit.page.get_by_text("There are no jobs yet.").wait_for()
    # Another live key, so that the server goes on asking for one.
    await served.store.create_key("acme", "other")
    await served.store.revoke_key(f"key_{token.split('_')[1]}")
    await visit.page.reload()
    await visit.page.get_by_role("dialog", name="API key").wait_for()
    await visit.page.get_by_role("dialog").get_by_text("the API key is unknown or was revoked").wait_for()
