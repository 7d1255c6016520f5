"""A page read for a goal: cut or in chunks, walls, failures, deadlines; published and improved."""

from __future__ import annotations

import asyncio
import json

import pytest

from literesearcher.research.messages import Usage
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.cache.lookup import Found
from literesearcher.tools.pages.chunks import MAX_CHUNKS
from literesearcher.tools.pages.extraction import Extraction
from literesearcher.tools.pages.reading import CHUNKS_AT_ONCE, PageReading
from literesearcher.tools.port import Ask
from literesearcher.tools.providers.port import FetchedPage

LIMIT = 1_000
PAGE = "\n\n".join(f"Paragraph {number}. " + "Words of it stand here. " * 6 for number in range(100))


class Extractor:
    """Stands for the kept one and for the one below; acts out what it is given for a text."""

    def __init__(self) -> None:
        self.extractor = self
        self.texts: list[str] = []
        self.fails: set[int] = set()
        self.hangs: set[int] = set()
        self.now = self.most = self.cancelled = 0
        self.cache: str | None = "miss"

    def page_tokens(self, profile):
        return LIMIT

    async def extract(self, text, goal, *, ask):
        self.texts.append(text)
        number = len(self.texts) - 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if number in self.hangs:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        mark = text[:14].strip()
        read = {"rational": "r", "evidence": f"saw {mark}", "summary": f"of {mark}"}
        return Found(Extraction(None if number in self.fails else read, Usage(100, 10)), self.cache, 0.0)


@pytest.fixture
def extractor() -> Extractor:
    return Extractor()


@pytest.fixture
def metrics() -> ToolMetrics:
    return ToolMetrics()


@pytest.fixture
def reading(extractor, metrics) -> PageReading:
    return PageReading(extractor, clock=SystemClock(), metrics=metrics, count_tokens=lambda text: len(text.split()))


def read(reading, page, fidelity="improved", seconds=60.0, goal="words"):
    deadline = SystemClock().monotonic() + seconds
    return reading.read(page, goal, ask=Ask(), fidelity=fidelity, deadline=deadline)


async def test_a_page_that_fits_is_read_the_same_way_in_both(reading, extractor):
    page = FetchedPage("direct", PAGE[:4_000])
    both = [await read(reading, page, fidelity) for fidelity in ("published", "improved")]
    assert both[0] == both[1]
    assert extractor.texts == [page.text, page.text]
    assert both[0].note == ("saw Paragraph 0. W", "of Paragraph 0. W")


async def test_a_long_page_is_cut_in_published_and_read_to_its_end_in_improved(reading, extractor, metrics):
    cut = await read(reading, FetchedPage("direct", PAGE), "published")
    assert len(extractor.texts) == 1
    assert PAGE.startswith(extractor.texts.pop())
    assert cut.usage == Usage(100, 10)
    whole = await read(reading, FetchedPage("direct", PAGE))
    assert "".join(extractor.texts) == PAGE
    count = len(extractor.texts)
    assert 2 < count <= MAX_CHUNKS
    assert extractor.most <= CHUNKS_AT_ONCE
    assert whole.note.evidence.split("\n\n") == [f"saw {text[:14].strip()}" for text in extractor.texts]
    assert whole.note.summary.split("\n") == [f"of {text[:14].strip()}" for text in extractor.texts]
    assert (whole.status, whole.usage, whole.keep) == ("found", Usage(100 * count, 10 * count), True)
    assert whole.extracted["evidence"] == whole.note.evidence
    assert metrics.registry.get_sample_value("literesearcher_tools_page_chunks_total") == count


async def test_what_was_not_read_is_told(reading, extractor):
    found = await read(reading, FetchedPage("direct", PAGE * 10))
    assert len(extractor.texts) == MAX_CHUNKS
    share = round(100 * (1 - len("".join(extractor.texts)) / len(PAGE * 10)))
    assert found.note.evidence.endswith(f"\n(The page is very long: its last {share}% were not read.)")
    kept = await read(reading, FetchedPage("direct", PAGE[:3_000], cut_characters=3_000))
    assert kept.note.evidence.endswith("its last 50% were not read.)")
    assert "not read" not in (await read(reading, FetchedPage("direct", PAGE * 10), "published")).note.evidence


async def test_chunks_that_fail_are_scored_by_words_and_not_kept(reading, extractor, metrics):
    extractor.fails = {1}
    extractor.hangs = {2}
    text = PAGE.replace("Paragraph 30.", "Quokkas eat leaves.").replace("Paragraph 60.", "Quokkas sleep by day.")
    found = await read(reading, FetchedPage("direct", text), seconds=3, goal="quokkas")
    assert (found.status, found.keep) == ("found", False)
    assert "saw Paragraph 0." in found.note.evidence
    assert "Quokkas eat leaves." in found.note.evidence
    assert "Quokkas sleep by day." in found.note.evidence
    assert "by no language model" in found.extracted["rational"]
    assert extractor.cancelled == 1
    value = metrics.registry.get_sample_value
    assert value("literesearcher_tools_extractions_total", {"outcome": "scored"}) == 2


async def test_a_failed_extraction_reads_as_published_there_and_as_passages_in_improved(reading, extractor):
    extractor.fails = {0, 1}
    page = FetchedPage("direct", PAGE[:3_000])
    published = await read(reading, page, "published")
    assert (published.status, published.note) == (
        "extraction_failed",
        ("Failed to extract", "Content could not be processed"),
    )
    improved = await read(reading, page)
    assert (improved.status, improved.keep, improved.usage) == ("found", False, Usage(100, 10))
    assert "Words of it stand here." in improved.note.evidence


async def test_what_was_reused_costs_nothing(reading, extractor):
    extractor.cache = "hit"
    found = await read(reading, FetchedPage("direct", PAGE))
    assert (found.usage, found.cache) == (None, "hit")


async def test_a_deadline_that_has_passed_still_gives_what_scores_best(reading, extractor):
    extractor.hangs = {0, 1, 2}
    found = await read(reading, FetchedPage("direct", PAGE[:3_000]), seconds=0.0)
    assert (found.status, found.keep) == ("found", False)
    published = await read(reading, FetchedPage("direct", PAGE[:3_000]), "published", seconds=0.0)
    assert published.status == "extraction_failed"


async def test_cancelling_cancels_every_chunk(reading, extractor):
    extractor.hangs = set(range(20))
    task = asyncio.create_task(read(reading, FetchedPage("direct", PAGE)))
    async with asyncio.timeout(20):
        while extractor.now < CHUNKS_AT_ONCE:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (extractor.now, extractor.cancelled) == (0, CHUNKS_AT_ONCE)


@pytest.mark.parametrize("kind", ["captcha", "consent", "script_only"])
async def test_walls_are_not_read_in_improved(reading, extractor, kind):
    page = FetchedPage("direct", PAGE[:3_000], kind=kind)
    found = await read(reading, page)
    assert (found.status, found.extracted, extractor.texts) == (kind, None, [])
    assert found.note.summary == "The webpage content could not be processed."
    assert (await read(reading, page, "published")).status == "found"


async def test_a_teaser_is_read_and_a_bare_paywall_is_not(reading, extractor):
    teaser = await read(reading, FetchedPage("direct", PAGE[:300], kind="paywall"))
    assert (teaser.status, len(extractor.texts)) == ("paywall", 1)
    assert teaser.note.evidence == (
        "(The page is behind a paywall or login; only the part before it could be read.)\nsaw Paragraph 0. W"
    )
    assert teaser.extracted["evidence"] == "saw Paragraph 0. W"
    bare = await read(reading, FetchedPage("direct", "Subscribe.", kind="paywall"))
    assert (bare.status, bare.extracted) == ("paywall", None)


@pytest.mark.parametrize("fidelity", ["published", "improved"])
async def test_short_pages_are_not_read_unless_they_are_whole(reading, extractor, fidelity):
    assert (await read(reading, FetchedPage("direct", "x" * 499), fidelity)).status == "too_short"
    assert (await read(reading, FetchedPage("local", " \n", whole=True), fidelity)).status == "too_short"
    assert extractor.texts == []
    assert (await read(reading, FetchedPage("local", "x", whole=True), fidelity)).status == "found"
    assert json.dumps(extractor.texts) == '["x"]'
