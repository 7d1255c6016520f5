"""Worker processes that convert pages: what they give, and what a page costs that hangs, crashes or eats memory."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import zlib

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
    while body.startswith(b"spin"):
        pass
    until = time.process_time() + 0.5
    while body.startswith(b"busy") and time.process_time() < until:
        pass
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
    workshop = make(workers=1, seconds=1)
    hung = asyncio.create_task(workshop.convert(b"hang", form="plain"))
    waiting = [asyncio.create_task(workshop.convert(b"hang", form="plain")) for _ in range(6)]
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


async def test_whatever_has_markup_or_is_large_goes_to_a_worker_and_never_behind_what_takes_long():
    reader = PageReader()
    try:
        assert (await reader.read(b"words " * 100, "text/plain", None)).text.count("words") == 100
        assert (await reader.laid_out('{"a": 1}')).text == '{"a": 1}'
        assert not pids(reader._ordinary) | pids(reader._heavy)
        small = await reader.read(b"<p>" + b"word " * 100, "text/html", None)
        assert small.text.count("word") == 100
        assert (len(pids(reader._ordinary)), len(pids(reader._heavy))) == (1, 0)
        large = await reader.read(b"<p>" + b"word " * 900_000, "text/html", None)
        assert (large.text.count("word"), large.cut_characters) == (MAX_TEXT_CHARACTERS // 5, 1_499_999)
        with pytest.raises(BoundaryError) as caught:
            await reader.read(b"%PDF-1.7\n" + b"\x00junk" * 100, "application/pdf", None)
        assert "PDF" in caught.value.message
        rows = ",".join(f'{{"n": {number}, "x": "{"y" * 60}"}}' for number in range(20_000))
        laid = await reader.laid_out(f"[{rows}]")
        assert laid.text.count("\n") == 20_001
        assert (len(pids(reader._ordinary)), len(pids(reader._heavy))) == (1, 1)
    finally:
        await reader.aclose()
        await reader.aclose()


FEEDS = {
    "rss": "<rss><channel><item><description><![CDATA[<p>ok</p>{}]]></description></item></channel></rss>",
    "json": '{{"version": "https://jsonfeed.org/version/1", "items": [{{"content_html": "<p>ok</p>{}"}}]}}',
    "json without a bracket": '{{"version": "https://jsonfeed.org/version/1", "items": [{{"content_html":'
    ' "\\u003cp>ok\\u003C/p>{}"}}]}}',
}


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
async def test_no_html_of_a_feed_is_converted_in_this_process(monkeypatch, feed):
    def refused(*_given, **_named):
        raise AssertionError("converted in the process of the event loop")

    monkeypatch.setattr("literesearcher.reading.feed_text.html_to_text", refused)
    reader = PageReader()
    try:
        text = (await reader.laid_out(feed.format("x"))).text
        assert "ok" in text
        assert "<p>" not in text
        hostile = "<blockquote>" * 300 + "x<br>" * 2_000
        if "\\u003cp" in feed:
            hostile = hostile.replace("<", "\\u003c")
        text = (await reader.laid_out(feed.format(hostile))).text
        assert text.count("x") > 1_999
        assert len(text) < 11 * len(hostile) + 1_000_000
    finally:
        await reader.aclose()


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_pages_of_one_tenant_that_take_long_leave_a_worker_to_another(make):
    workshop = make(seconds=60)
    await workshop.convert(b"first", form="plain", tenant_id="b")
    hung = [asyncio.create_task(workshop.convert(b"hang", form="plain", tenant_id="a")) for _ in range(8)]
    await until(lambda: workshop._turns.taken == 2)
    async with asyncio.timeout(30):
        assert (await workshop.convert(b"beside", form="plain", tenant_id="b")).text == "beside"
    assert not any(task.done() for task in hung)
    for task in hung:
        task.cancel()
    await asyncio.gather(*hung, return_exceptions=True)


async def test_tenants_take_turns(make):
    workshop = make(workers=1, seconds=60)
    order = []

    async def convert(name):
        await workshop.convert(b"words", form="plain", tenant_id=name)
        order.append(name)

    held = asyncio.create_task(workshop.convert(b"hang", form="plain", tenant_id="a"))
    await until(lambda: workshop._turns.taken == 1)
    waiting = [asyncio.create_task(convert(name)) for name in ("a", "a", "a", "b", "c")]
    await asyncio.sleep(0)
    held.cancel()
    await asyncio.gather(*waiting)
    assert order.index("b") < 3
    assert order.index("c") < 3


async def test_waiting_pages_are_told_at_once_that_the_readers_closed(make):
    workshop = make(workers=1, seconds=600)
    hung = [asyncio.create_task(workshop.convert(b"hang", form="plain")) for _ in range(3)]
    await until(lambda: pids(workshop))
    async with asyncio.timeout(30):
        await workshop.aclose()
        results = await asyncio.gather(*hung, return_exceptions=True)
    assert all(isinstance(result, BoundaryError) for result in results)


def pdf(content: bytes, form: bytes) -> bytes:
    """One page; its content calls the form F, which is packed."""
    packed = zlib.compress(form)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R"
        b" /Resources << /XObject << /F 6 0 R >> /Font << /A 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 99 99] /Resources << /Font << /A 5 0 R >> >>"
        b" /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(packed), packed),
    ]
    body = b"%PDF-1.4\n"
    offsets = []
    for number, each in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return body + b"xref\n0 7\n0000000000 65535 f \n%strailer << /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(body),
    )


async def test_pdfs_made_to_take_minutes_hold_up_no_other_tenant_and_no_ordinary_page():
    bomb = pdf(b"/F Do " * 20_000, b"1 w 2 w " * 600_000)
    small = pdf(b"/F Do", b"BT /A 9 Tf (small) Tj ET")
    assert len(bomb) < 200_000
    reader = PageReader(seconds=10)
    try:
        assert (await reader.read(small, "application/pdf", None, tenant_id="b")).text == "small"
        hogs = [asyncio.create_task(reader.read(bomb, "application/pdf", None, tenant_id="a")) for _ in range(4)]
        await until(lambda: reader._heavy._turns.taken == 2)
        assert (await reader.read(small, "application/pdf", None, tenant_id="b")).text == "small"
        assert (await reader.read(b"<p>ordinary", "text/html", None, tenant_id="a")).text == "ordinary"
        assert not any(hog.done() for hog in hogs)
        for hog in hogs[2:]:
            hog.cancel()
        for result in await asyncio.gather(*hogs[:2], return_exceptions=True):
            assert isinstance(result, BoundaryError)
            assert not result.transient
    finally:
        await reader.aclose()


PROXY = """
import asyncio, os, sys
from literesearcher.tools.pages.workshop import Workshop
async def main():
    workshop = Workshop(command=(sys.executable, "-c", {unruly!r}))
    task = asyncio.create_task(workshop.convert(b"spin", form="plain"))
    while not workshop._all:
        await asyncio.sleep(0.01)
    print(*[worker.pid for worker in workshop._all], flush=True)
    await task
asyncio.run(main())
"""


async def test_a_worker_in_the_middle_of_a_page_ends_with_the_process_that_started_it():
    proxy = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROXY.format(unruly=UNRULY), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        worker = int(await proxy.stdout.readline())
        await until(lambda: cpu_seconds(worker) > 0.5)  # it is past its start
        proxy.kill()
        await proxy.wait()
    await gone(worker)


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_a_worker_whose_starter_has_gone_does_not_begin():
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "literesearcher.reading.conversion_worker", "2000000000", "20", "1"),
        stdin=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        assert await worker.wait() == 1


async def test_the_system_ends_a_worker_that_nobody_ends(make):
    """Its processor time is counted anew for each page. Only the system would end one that may take an hour."""
    workshop = make(workers=1, seconds=3_600)
    workshop._command = (*workshop._command[:-1], "1")
    for _ in range(4):
        assert (await workshop.convert(b"busy", form="plain")).text == "busy"
    (pid,) = pids(workshop)
    with pytest.raises(BoundaryError):
        await workshop.convert(b"spin", form="plain")
    await gone(pid)
