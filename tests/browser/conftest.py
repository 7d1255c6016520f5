"""A real Chromium, a real gateway, and a page that may break no rule: any refusal of its policy, any error in its
console and any key in an address fails the test that saw it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from literesearcher.jobs.live import LocalLive
from literesearcher.settings.sections import GatewaySection
from literesearcher.testing.memory_store import MemoryStore
from literesearcher.testing.served_gateway import FAST, Served, extractive, running
from literesearcher.timing.clock import SystemClock

GET_CHROMIUM = "no Chromium here: apt-get install -y --no-install-recommends chromium (or: playwright install chromium)"
GET_PLAYWRIGHT = "no Playwright here: pip install playwright"
STRICT = os.environ.get("LITERESEARCHER_TEST_STRICT") == "1"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MS = 60_000
DESK = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for the browser and all tests of this folder."""
    for item in items:
        if "tests/browser/" in item.nodeid or item.nodeid.startswith("browser/"):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def _missing(reason: str) -> None:
    if STRICT:
        pytest.fail(reason)
    pytest.skip(reason)


def _executable() -> str | None:
    named = os.environ.get("LITERESEARCHER_TEST_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Any]:
    """One browser for the whole run."""
    try:
        from playwright.async_api import Error, async_playwright
    except ImportError:
        _missing(GET_PLAYWRIGHT)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(executable_path=_executable(), args=arguments)
        except Error:
            _missing(GET_CHROMIUM)
        yield browser
        await browser.close()


@dataclass
class Visit:
    """A page of the console in a browser profile of its own, and what it did."""

    page: Any
    context: Any
    served: Served
    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """Parts of complaints that the test brings about itself."""

    async def open(self, place: str = "#/") -> None:
        """Go to a place of the console."""
        await self.page.goto(f"{self.served.base}/{place}")

    async def fits(self) -> bool:
        """Is nothing wider than the window?"""
        found = await self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        return bool(found[0] <= found[1])

    def check(self) -> None:
        """No complaint, nothing loaded from elsewhere, no key in an address."""
        left = [one for one in self.complaints if not any(part in one for part in self.expected)]
        assert not left, left
        assert all(address.startswith(self.served.base) for address in self.addresses), self.addresses
        assert not [address for address in self.addresses if "lr_" in address]


Open = Callable[..., Awaitable[Visit]]


@pytest_asyncio.fixture(loop_scope="session")
async def visiting(chromium: Any) -> AsyncIterator[Open]:
    """Opens profiles on a gateway; each is checked at the end of the test."""
    visits: list[Visit] = []

    async def begin(served: Served, **options: Any) -> Visit:
        context = await chromium.new_context(**{"viewport": DESK, "locale": "en-GB", **options})
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        visit = Visit(page, context, served)
        listen(visit, page)
        visits.append(visit)
        return visit

    yield begin
    for visit in visits:
        await visit.context.close()
        visit.check()


def listen(visit: Visit, page: Any) -> None:
    """Take note of what a page loads and complains of."""
    page.on("request", lambda request: visit.addresses.append(request.url))
    page.on("pageerror", lambda error: visit.complaints.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: visit.complaints.append(message.text) if message.type in ("error", "warning") else None,
    )


@pytest_asyncio.fixture(loop_scope="session")
async def served() -> AsyncIterator[Served]:
    """A gateway that asks for no key, over a store of this test's own."""
    async with running(MemoryStore(SystemClock()), LocalLive(), GatewaySection(), FAST, extractive) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def visit(visiting: Open, served: Served) -> Visit:
    """A desktop's page on that gateway."""
    return await visiting(served)
