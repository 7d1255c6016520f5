"""Worker processes that convert pages: what they give, and what a page costs that hangs, crashes or eats memory."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.reading.conversion import MAX_TEXT_CHARACTERS, converted
from literesearcher.reading.html_text import html_to_text
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.pages.workshop import Workshop

PARAGRAPH = "<h2>Part {0}</h2><p>Words of <b>the page</b>, see <a href='/x?y={0}'>link {0}</a>, café.</p>"
UNRULY = """
import os, sys, time
from literesearcher.reading import conversion_worker
real = conversion_worker.converted
def converted(body, **options):
    if body.startswith(b"hang"):
        time.sleep(600)
    if body.startswith(b"die"):
        os._exit(3)
    if body.startswith(b"half"):
        os.write(out, conversion_worker.FRAME.pack(50, 1000) + b"{")
        os._exit(0)
    if body.startswith(b"eat"):
        return bytearray(1_500_000_000)
    if body.startswith(b"print"):
        print("noise on standard output")
    return real(body, **options)
conversion_worker.converted = converted
out = os.dup(1)
conversion_worker.main()
"""


@pytest.fixture
async def make():
    made = []

    def build(**options):
        workshop = Workshop(command=(sys.executable, "-c", UNRULY), **options)
        made.append(workshop)
        return workshop

    yield build
    for workshop in made:
        await workshop.aclose()
        await workshop.aclose()


async def gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(0.01)


def pids(workshop: Workshop) -> set[int]:
    return {worker.pid for worker in workshop._all}


async def test_a_worker_gives_what_a_call_in_this_process_gives_and_is_used_again():
    body = ("<html lang=en><title>T é</title>" + "".join(map(PARAGRAPH.format, range(2_000)))).encode("cp1252")
    options = {"form": "html", "charset": "windows-1252", "url": "https://a.example/dir/"}
    workshop = Workshop()
    try:
        first = await workshop.convert(body, **options)
        before = pids(workshop)
        assert first == await workshop.convert(body, **options) == converted(body, **options)
        assert first.text == html_to_text(body.decode("cp1252"), "https://a.example/dir/")[0]
        assert (first.title, first.language, len(before)) == ("T é", "en", 1)
        assert pids(workshop) == before
    finally:
        await workshop.aclose()
    for pid in before:
        await gone(pid)


@pytest.mark.parametrize("body", [b"die", b"half", b"eat"])
async def test_a_page_that_breaks_its_worker_costs_itself_only(make, body):
    workshop = make(workers=1, seconds=30, memory_bytes=1_000_000_000)
    assert (await workshop.convert(b"fine", form="plain")).text == "fine"
    with pytest.raises(BoundaryError) as caught:
        await workshop.convert(body, form="plain")
    assert (caught.value.code, caught.value.transient) == ("page_unreadable", False)
    assert (await workshop.convert(b"print", form="plain")).text == "print"


async def test_a_page_that_hangs_is_given_up_and_its_worker_ended(make):
    workshop = make(workers=2, seconds=5)
    hung = asyncio.create_task(workshop.convert(b"hang", form="plain"))
    async with asyncio.timeout(20):
        while not pids(workshop):
            await asyncio.sleep(0.01)
    (pid,) = pids(workshop)
    assert (await workshop.convert(b"beside it", form="plain")).text == "beside it"
    with pytest.raises(BoundaryError):
        await hung
    await gone(pid)
    assert (await workshop.convert(b"after it", form="plain")).text == "after it"


async def test_a_cancelled_conversion_ends_its_worker_and_frees_its_turn(make):
    workshop = make(workers=1, seconds=60)
    hung = asyncio.create_task(workshop.convert(b"hang", form="plain"))
    async with asyncio.timeout(20):
        while not pids(workshop):
            await asyncio.sleep(0.01)
    (pid,) = pids(workshop)
    hung.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hung
    await gone(pid)
    assert (await workshop.convert(b"next", form="plain")).text == "next"


async def test_a_worker_that_was_killed_while_idle_is_replaced(make):
    workshop = make(workers=1)
    await workshop.convert(b"one", form="plain")
    (worker,) = workshop._all
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()
    assert (await workshop.convert(b"two", form="plain")).text == "two"


async def test_pages_that_wait_too_long_for_their_turn_may_come_again(make):
    workshop = make(workers=1, seconds=2)
    hung = asyncio.create_task(workshop.convert(b"hang", form="plain"))
    waiting = [asyncio.create_task(workshop.convert(b"hang", form="plain")) for _ in range(3)]
    results = await asyncio.gather(hung, *waiting, return_exceptions=True)
    assert all(isinstance(result, BoundaryError) for result in results)
    assert any(result.transient for result in results)


async def test_a_worker_knows_no_secret_and_runs_nothing_of_the_folder_it_starts_in(monkeypatch, tmp_path):
    monkeypatch.setenv("LITERESEARCHER_SERPER__API_KEY", "planted")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "literesearcher.py").write_text("raise SystemExit(9)")
    workshop = Workshop()
    try:
        assert (await workshop.convert(b"fine", form="plain")).text == "fine"
        (worker,) = workshop._all
        with open(f"/proc/{worker.pid}/environ", "rb") as environment:
            assert b"planted" not in environment.read()
    finally:
        await workshop.aclose()
    with pytest.raises(BoundaryError):
        await workshop.convert(b"after the end", form="plain")


async def test_a_program_that_cannot_be_started_is_a_page_that_cannot_be_read():
    workshop = Workshop(command=("/nonexistent/python",))
    with pytest.raises(BoundaryError):
        await workshop.convert(b"x", form="plain")
    await workshop.aclose()


async def test_large_pages_and_every_pdf_go_to_a_worker_and_ordinary_ones_do_not():
    reader = PageReader()
    try:
        small = await reader.read(b"<p>" + b"word " * 100, "text/html", None)
        assert reader._workshop is None
        large = await reader.read(b"<p>" + b"word " * 900_000, "text/html", None)
        assert (large.text.count("word"), large.cut_characters) == (MAX_TEXT_CHARACTERS // 5, 1_499_999)
        assert small.text.count("word") == 100
        assert len(pids(reader._workshop)) == 1
        with pytest.raises(BoundaryError) as caught:
            await reader.read(b"%PDF-1.7\n" + b"\x00junk" * 100, "application/pdf", None)
        assert "PDF" in caught.value.message
        rows = ",".join(f'{{"n": {number}, "x": "{"y" * 60}"}}' for number in range(20_000))
        laid = await reader.laid_out(f"[{rows}]")
        assert laid.text.count("\n") == 20_001
    finally:
        await reader.aclose()
        await reader.aclose()
