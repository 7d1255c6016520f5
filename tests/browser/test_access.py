"""For everybody: by keyboard alone, with a screen reader, in the dark."""

from __future__ import annotations

import re

from browser.conftest import Open, Visit
from browser.stories import short_job
from literesearcher.testing.served_gateway import Served

UNNAMED = """() => [...document.querySelectorAll('button, a[href], input, select, textarea, summary, [role=img], svg')]
  .filter((node) => node.checkVisibility())
  .filter((node) => !(node.getAttribute('aria-label') || node.labels?.length || node.textContent.trim()))
  .map((node) => node.outerHTML.slice(0, 120))"""
DOUBLE = "[...document.querySelectorAll('[id]')].map((node) => node.id).filter((id, at, all) => all.indexOf(id) !== at)"
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const numbers = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [x, y, z] = [r, g, b].map((c) => linear(c / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const found = numbers(getComputedStyle(at).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255, 255];
  };
  const texts = [...document.querySelectorAll('body *')].filter(
    (node) => node.checkVisibility() && [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim()),
  );
  return texts
    .map((node) => {
      const style = getComputedStyle(node);
      const ink = numbers(node instanceof SVGElement ? style.fill : style.color);
      const [high, low] = [light(ink), light(ground(node))].sort((a, b) => b - a);
      return [(high + 0.05) / (low + 0.05), node.className.baseVal ?? node.className, node.textContent.slice(0, 40)];
    })
    .filter(([ratio]) => ratio < 4.5);
}"""


async def tab_to(visit: Visit, name: str) -> None:
    for _ in range(60):
        await visit.page.keyboard.press("Tab")
        if await visit.page.evaluate(
            """name => {
              const at = document.activeElement;
              const named = at.getAttribute('aria-label') || at.labels?.[0]?.textContent || at.textContent || '';
              return named.trim().startsWith(name);
            }""",
            name,
        ):
            outline = await visit.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{name} has the focus, and nobody sees it"
            return
    raise AssertionError(f"the keyboard does not reach {name}")


async def test_everything_by_keyboard(served: Served, visit: Visit) -> None:
    page = visit.page
    await visit.open()
    await page.get_by_label("Your question").wait_for()
    assert await page.evaluate("document.activeElement.id") == "question"
    await page.keyboard.type("Which one?")
    await tab_to(visit, "Options")
    await page.keyboard.press("Enter")
    await tab_to(visit, "Model turns")
    await page.keyboard.type("9")
    await page.keyboard.press("Control+Enter")
    await page.wait_for_url(re.compile("#/jobs/job_"))
    await page.get_by_role("heading", name="Which one?").wait_for()
    await tab_to(visit, "Stop")
    await page.keyboard.press("Enter")
    await page.get_by_text("Stopped on request").wait_for()
    job_id = await short_job(served)
    await tab_to(visit, "Ask another")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Ask a question").wait_for()
    await tab_to(visit, "Completed")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(job_id))
    await page.get_by_text("Koalas sleep up to").wait_for()
    await tab_to(visit, "Where Koalas at rest was read")
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.dataset.turn") == "2"
    await tab_to(visit, "What the model read")
    await page.keyboard.press("Enter")
    await page.locator('.step[data-turn="2"] .passage').wait_for()


async def test_names_for_those_who_do_not_see(served: Served, visit: Visit) -> None:
    job_id = await short_job(served)
    page = visit.page
    for place, wait in (("#/", "Ask a question"), ("#/jobs", "Jobs"), (f"#/jobs/{job_id}", "Answer")):
        await visit.open(place)
        await page.get_by_role("heading", name=wait).wait_for()
        await page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert await page.evaluate(UNNAMED) == [], place
        assert await page.evaluate(DOUBLE) == [], place
        assert await page.get_by_role("heading", level=1).count() == 1
        assert await page.get_by_role("main").count() == 1
        assert await page.get_by_role("navigation", name="Main").count() == 1
        assert "LiteResearcher" in await page.title()
    tree = await page.locator("body").aria_snapshot()
    for part in ('img "Timeline of', 'heading "Sources (1)"', 'list "Steps of the job"', "blockquote"):
        assert part in tree, tree
    assert await page.get_by_role("status").count() == 1


async def test_light_and_dark_can_be_read(served: Served, visiting: Open) -> None:
    job_id = await short_job(served)
    grounds = []
    for scheme in ("light", "dark"):
        visit = await visiting(served, color_scheme=scheme)
        for place, wait in (("#/", "Ask a question"), ("#/jobs", "Jobs"), (f"#/jobs/{job_id}", "Answer")):
            await visit.open(place)
            await visit.page.get_by_role("heading", name=wait).wait_for()
            await visit.page.get_by_text("Which animal").first.wait_for()
            assert await visit.page.evaluate(CONTRAST) == [], (scheme, place)
        grounds.append(await visit.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    assert grounds[0] != grounds[1]
