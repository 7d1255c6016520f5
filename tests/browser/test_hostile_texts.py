"""Texts of pages, models and other people: shown as texts, cut where they are enormous, and never anything more."""

from __future__ import annotations

from browser.conftest import Open, Visit
from browser.stories import answered, long_job, read, searched, wrote
from literesearcher.research import events as ev
from literesearcher.testing.journal_events import attempt, turn_started
from literesearcher.testing.served_gateway import Served

SCRIPT = "<img src=x onerror=alert(1)><script>window.pwned=1</script><style>*{display:none}</style>"
OVERRIDE = "safe\u202egpj.exe\u2066\u200b\u200d\ufeff"


async def test_hostile_titles_and_answers_are_only_text(served: Served, visit: Visit) -> None:
    job_id = await served.create(f"{SCRIPT} what?")
    script = "javascript:window.pwned=1"
    await served.append(
        job_id,
        attempt("openai"),
        turn_started(1),
        wrote(1, f"<think>\n{SCRIPT}{OVERRIDE}\n</think>"),
        *searched(1, SCRIPT, SCRIPT, script, text=SCRIPT),
        turn_started(2),
        wrote(2, "<think>\nhm\n</think>"),
        *read(2, script, SCRIPT + OVERRIDE),
        turn_started(3),
        wrote(3, "<think>\nhm\n</think>"),
        *read(3, "https://google.com@evil.example/", "x" * 1_000_000),
        answered(
            f"{SCRIPT} {OVERRIDE} [go](javascript:alert(1)) javascript:alert(1) data:text/html,x https://ok.example/a.",
            ev.Citation(script, SCRIPT, SCRIPT * 50, 6),
            ev.Citation("data:text/html,<script>alert(1)</script>", OVERRIDE, OVERRIDE, 6),
            ev.Citation("https://\u202emoc.evil/", "t", "q", 6),
            ev.Citation("https://google.com@evil.example/", "y" * 1_000_000, "z" * 1_000_000, 6),
        ),
    )
    page = visit.page
    await visit.open(f"#/jobs/{job_id}")
    await page.get_by_role("heading", name="Answer").wait_for()
    await page.locator(".step").nth(2).wait_for()
    for fold in await page.locator("details > summary").all():
        await fold.click()
    assert await page.evaluate("window.pwned") is None
    assert await page.locator("main :is(script, img, style, iframe, object)").count() == 0
    shown = await page.locator("main").inner_text()
    assert "<script>window.pwned=1</script>" in shown
    assert not [letter for letter in shown if letter in "\u202e\u2066\u200b\ufeff"]
    links = await page.evaluate(
        "[...document.querySelectorAll('main a[target]')].map(a => [a.protocol, a.rel, a.host])"
    )
    assert links
    assert {(protocol, rel) for protocol, rel, _ in links} == {("https:", "noopener noreferrer")}
    assert {host for *_, host in links} <= {"evil.example", "ok.example", "xn--moc-7ve.evil"} | {"moc.evil"}
    assert await page.get_by_text("evil.example", exact=False).count() >= 1
    assert await page.evaluate("document.querySelector('main').textContent.length") < 100_000
    assert await visit.fits()
    for place in ("#/jobs", "#/"):
        await visit.open(place)
        await page.get_by_text("<img src=x onerror=alert(1)>").first.wait_for()
        assert await page.evaluate("window.pwned") is None


async def test_a_job_of_86_turns_and_ten_megabytes_stays_usable(served: Served, visit: Visit) -> None:
    job_id = await long_job(served)
    page = visit.page
    await visit.open(f"#/jobs/{job_id}")
    await page.get_by_role("heading", name="Answer").wait_for()
    await page.get_by_text("86 turns").first.wait_for()
    await page.locator('.step[data-turn="86"]').wait_for()
    assert await page.locator(".step").count() == 30
    assert await page.evaluate("document.querySelectorAll('*').length") < 4000
    assert await page.evaluate("document.querySelector('main').textContent.length") < 100_000
    assert await page.locator(".chart rect.model").count() == 86
    for left in (60, 90, 86):
        if left != 86:
            await page.get_by_role("button", name="Show earlier steps").click()
        assert await page.locator(".step").count() == min(left, 86)
    await page.locator('.step[data-turn="1"]').get_by_text("What the model read").click()
    box = page.locator('.step[data-turn="1"] .passage')
    assert len(await box.inner_text()) < 5000
    await box.get_by_role("button").click()
    assert 100_000 < len(await box.inner_text()) < 200_000
    assert await visit.fits()


async def test_another_tenants_job_reads_like_none(served: Served, visiting: Open) -> None:
    _, ours = await served.store.create_key("ours", "k")
    _, theirs = await served.store.create_key("theirs", "k")
    secret = await served.create("A secret question?", headers={"Authorization": f"Bearer {theirs}"})
    visit = await visiting(served)
    visit.expected = ("401", "404")
    page = visit.page
    told = []
    await visit.open(f"#/jobs/{secret}")
    await page.get_by_label("Key", exact=True).fill(ours)
    await page.get_by_role("button", name="Use key").click()
    for job in (secret, "job_00000000000000000000000000000000", "x", "%2e%2e"):
        await visit.open(f"#/jobs/{job}")
        await page.get_by_role("heading", name="There is no such job").wait_for()
        told.append(await page.locator("main").inner_text())
    assert len(set(told)) == 1
    assert "secret" not in told[0]
