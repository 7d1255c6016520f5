"""Following a job: every event once and in order, wherever one joins; live text in between."""

from __future__ import annotations

import asyncio
import gc
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from literesearcher.gateway.documents import EventObject, EventPage
from literesearcher.gateway.stream import StreamPace
from literesearcher.jobs.live import Delta
from literesearcher.research import events as ev
from literesearcher.testing.journal_events import (
    attempt,
    ended,
    tool_completed,
    tool_started,
    turn_completed,
    turn_started,
)
from literesearcher.testing.served_gateway import PATIENCE, Served

Start = Callable[..., Awaitable[Served]]
SSE = {"Accept": "text/event-stream"}
NDJSON = {"Accept": "application/x-ndjson"}
PAGE = {"Accept": "application/json"}


@dataclass
class Heard:
    """A server-sent event as a browser would dispatch it."""

    type: str
    id: str | None
    data: Any


async def sse(answer: aiohttp.ClientResponse) -> AsyncIterator[Heard]:
    """Parse by the HTML standard, the `id:` kept per event."""
    kind, number, data = "message", None, []
    async for raw in answer.content:
        line = raw.decode().rstrip("\n")
        if line == "":
            if data:
                yield Heard(kind, number, json.loads("\n".join(data)))
            kind, number, data = "message", None, []
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "id":
                number = value
            elif name == "data":
                data.append(value)


async def follow(
    served: Served, job_id: str, *, after: int | None = None, last: str | None = None, stop_at: str | None = None
) -> list[Heard]:
    """All that a client hears until the stream ends, or until an event of type `stop_at`."""
    params = {} if after is None else {"after": after}
    headers = SSE | ({} if last is None else {"Last-Event-ID": last})
    heard: list[Heard] = []
    async with asyncio.timeout(PATIENCE):
        async with served.session.get(
            f"{served.base}/v1/research/{job_id}/events", params=params, headers=headers
        ) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "text/event-stream"
            async for one in sse(answer):
                heard.append(one)
                if one.type == stop_at:
                    break
    return heard


def numbers(heard: list[Heard]) -> list[int]:
    return [int(one.id) for one in heard if one.id is not None]


class Follower:
    """A client whose hearing a test can wait on."""

    def __init__(self, served: Served, job_id: str) -> None:
        self._served = served
        self._job_id = job_id
        self._heard: list[Heard] = []
        self._task = asyncio.ensure_future(self._follow())

    async def __aenter__(self) -> Follower:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _follow(self) -> None:
        path = f"{self._served.base}/v1/research/{self._job_id}/events"
        async with self._served.session.get(path, headers=SSE) as answer:
            async for one in sse(answer):
                self._heard.append(one)

    async def until(self, heard: Callable[[Heard], bool]) -> None:
        """Until something was heard that fits."""
        async with asyncio.timeout(PATIENCE):
            while not any(heard(one) for one in self._heard):
                await asyncio.sleep(0.01)

    async def all(self) -> list[Heard]:
        """Everything, when the stream has ended."""
        await asyncio.wait_for(self._task, PATIENCE)
        return self._heard


STORY: list[list[ev.Event]] = [
    [attempt()],
    *[
        step
        for turn in range(1, 8)
        for step in (
            [turn_started(turn)],
            [turn_completed(turn, f"turn {turn}"), tool_started(turn)],
            [tool_completed(turn)],
        )
    ],
    [turn_started(8)],
    [turn_completed(8, "<answer>heapq.merge</answer>"), ended()],
]
LENGTH = 1 + sum(len(step) for step in STORY)


async def tell(served: Served, job_id: str, *, ring: bool = True, pause: float = 0.01) -> None:
    for step in STORY:
        await served.append(job_id, *step, ring=ring)
        await asyncio.sleep(pause)


class TestJoining:
    async def test_at_every_number_while_another_writes(self, served: Served) -> None:
        """Each follower hears all, breaks off somewhere, re-joins with the number it had, again and again."""
        job_id = await served.create()
        chance = random.Random(7)

        async def follower(breaks: int) -> list[int]:
            got: list[int] = []
            for _ in range(breaks):
                last = str(got[-1]) if got else None
                async with served.session.get(
                    f"{served.base}/v1/research/{job_id}/events",
                    headers=SSE | ({"Last-Event-ID": last} if last else {}),
                ) as answer:
                    wanted = chance.randint(1, 5)
                    async for one in sse(answer):
                        if one.id is not None:
                            got.append(int(one.id))
                            wanted -= 1
                        if wanted == 0 or one.type == "job.ended":
                            break
                if got and got[-1] == LENGTH:
                    return got
            return got + numbers(await follow(served, job_id, last=str(got[-1])))

        async with asyncio.timeout(PATIENCE):
            followers = [asyncio.ensure_future(follower(breaks)) for breaks in (1, 2, 4, 8, 16, 32)]
            writing = asyncio.ensure_future(tell(served, job_id))
            late = asyncio.ensure_future(follower(3))
            for got in await asyncio.gather(*followers, late):
                assert got == list(range(1, LENGTH + 1))
            await writing

    async def test_at_every_number_after_the_end(self, served: Served) -> None:
        job_id = await served.create()
        await tell(served, job_id, pause=0)
        for after in range(LENGTH + 1):
            expected = list(range(after + 1, LENGTH + 1))
            assert numbers(await follow(served, job_id, after=after)) == expected
            assert numbers(await follow(served, job_id, last=str(after))) == expected

    async def test_before_the_beginning_and_without_any_bell(self, served: Served) -> None:
        """Another process writes: nothing rings here."""
        job_id = await served.create()
        following = asyncio.ensure_future(follow(served, job_id))
        await tell(served, job_id, ring=False)
        heard = await asyncio.wait_for(following, PATIENCE)
        assert numbers(heard) == list(range(1, LENGTH + 1))
        assert heard[-1].type == "job.ended"
        for one in heard:
            EventObject.model_validate(one.data)
            assert (str(one.data["seq"]), one.data["type"]) == (one.id, one.type)

    async def test_last_event_id_outranks_the_url(self, served: Served) -> None:
        job_id = await served.create()
        await tell(served, job_id, pause=0)
        assert numbers(await follow(served, job_id, after=0, last=str(LENGTH - 1))) == [LENGTH]

    @pytest.mark.parametrize("last", ["", "  "])
    async def test_an_empty_last_event_id_is_none(self, served: Served, last: str) -> None:
        job_id = await served.create()
        await tell(served, job_id, pause=0)
        assert numbers(await follow(served, job_id, after=LENGTH - 2, last=last)) == [LENGTH - 1, LENGTH]

    @pytest.mark.parametrize(
        ("query", "headers", "field"),
        [
            ("?after=-1", {}, "after"),
            ("?after=x", {}, "after"),
            ("?after=2", {}, "after"),
            ("?after=" + "9" * 4000, {}, "after"),
            ("", {"Last-Event-ID": "abc"}, "Last-Event-ID"),
            ("", {"Last-Event-ID": "-1"}, "Last-Event-ID"),
            ("", {"Last-Event-ID": "9" * 300}, "Last-Event-ID"),
            ("", {"Last-Event-ID": "99"}, "Last-Event-ID"),
            ("?limit=0", PAGE, "limit"),
            ("?limit=1001", PAGE, "limit"),
        ],
    )
    async def test_a_place_that_is_none(self, served: Served, query: str, headers: dict[str, str], field: str) -> None:
        job_id = await served.create()
        status, _, problem = await served.call("GET", f"/v1/research/{job_id}/events{query}", headers=headers)
        assert (status, problem["field"]) == (422, field)


class TestForms:
    async def test_lines_of_json(self, served: Served) -> None:
        job_id = await served.create()
        await tell(served, job_id, pause=0)
        async with served.session.get(f"{served.base}/v1/research/{job_id}/events", headers=NDJSON) as answer:
            assert answer.content_type == "application/x-ndjson"
            lines = [json.loads(line) for line in (await answer.text()).splitlines()]
        assert [line["seq"] for line in lines] == list(range(1, LENGTH + 1))

    async def test_pages(self, served: Served) -> None:
        job_id = await served.create()
        await served.append(job_id, attempt(), turn_started(1))
        path = f"/v1/research/{job_id}/events"
        _, _, page = await served.call("GET", path, headers=PAGE, params={"limit": 2})
        EventPage.model_validate(page)
        assert ([one["seq"] for one in page["data"]], page["next_after"], page["ended"]) == ([1, 2], 2, False)
        _, _, page = await served.call("GET", path, headers=PAGE, params={"after": 3})
        assert (page["data"], page["next_after"], page["ended"]) == ([], 3, False)
        await served.append(job_id, turn_completed(1, "x"), ended())
        _, _, page = await served.call("GET", path, headers=PAGE, params={"after": 3})
        assert ([one["seq"] for one in page["data"]], page["ended"]) == ([4, 5], True)
        _, _, page = await served.call("GET", path, headers=PAGE, params={"after": 5})
        assert (page["data"], page["next_after"], page["ended"]) == ([], 5, True)

    async def test_a_form_that_does_not_exist(self, served: Served) -> None:
        job_id = await served.create()
        status, _, problem = await served.call("GET", f"/v1/research/{job_id}/events", headers={"Accept": "text/html"})
        assert (status, problem["code"]) == (406, "not_acceptable")

    async def test_line_ends_in_text_break_no_frame(self, served: Served) -> None:
        text = "a\nb\r\nc\rd\u2028e\u0085f\n\nid: 99\nevent: forged\n"
        job_id = await served.create(text)
        await served.append(job_id, attempt(), ended(text))
        heard = await follow(served, job_id)
        assert [one.type for one in heard] == ["job.created", "attempt.started", "job.ended"]
        assert heard[0].data["data"]["input"] == text
        assert heard[-1].data["data"]["output_text"] == text


class TestLiveText:
    async def test_pieces_come_in_order_with_turn_attempt_and_offset_and_no_id(self, served: Served) -> None:
        job_id = await served.create()
        await served.append(job_id, attempt(), turn_started(1))
        async with Follower(served, job_id) as follower:
            await _listened_to(served, job_id)
            for offset, piece in ((0, "<think>"), (7, "hm"), (9, "</think>")):
                await served.live.publish(Delta(job_id, 1, 1, offset, piece))
                await follower.until(lambda one, at=offset: one.data.get("offset") == at)
            await served.append(job_id, turn_completed(1, "<think>hm</think>"))
            await follower.until(lambda one: one.type == "turn.completed")
            await served.live.publish(Delta(job_id, 1, 1, 17, "late"))
            await served.append(job_id, ended())
            heard = await follower.all()
        deltas = [one for one in heard if one.type == "turn.delta"]
        assert "".join(one.data["text"] for one in deltas) == "<think>hm</think>"
        assert all(one.id is None and "seq" not in one.data for one in deltas)
        assert {(one.data["turn"], one.data["attempt"]) for one in deltas} == {(1, 1)}
        kinds = [one.type for one in heard]
        assert kinds.index("turn.started") < kinds.index("turn.delta") < kinds.index("turn.completed")
        assert "turn.delta" not in kinds[kinds.index("turn.completed") :]
        assert numbers(heard) == [1, 2, 3, 4, 5]

    async def test_a_late_joiner_gets_the_text_so_far_in_one_piece(self, served: Served) -> None:
        job_id = await served.create()
        await served.append(job_id, attempt(), turn_started(1))
        first = asyncio.ensure_future(follow(served, job_id))
        await _listened_to(served, job_id)
        for offset in range(0, 50, 5):
            await served.live.publish(Delta(job_id, 1, 1, offset, f"{offset:05d}"))
        so_far = "".join(f"{offset:05d}" for offset in range(0, 50, 5))
        # One joins from the beginning, one with everything that the journal has.
        late = [await follow(served, job_id, after=after, stop_at="turn.delta") for after in (0, 3)]
        assert [one[-1].data["text"] for one in late] == [so_far, so_far]
        assert [one[-1].data["offset"] for one in late] == [0, 0]
        await served.append(job_id, turn_completed(1, so_far), ended())
        await asyncio.wait_for(first, PATIENCE)

    async def test_joining_after_a_turn_completed_brings_none_of_its_text(self, served: Served) -> None:
        """The turn's live text is not forgotten yet when somebody joins behind its completion."""
        job_id = await served.create()
        await served.append(job_id, attempt(), turn_started(1))
        following = asyncio.ensure_future(follow(served, job_id))
        await _listened_to(served, job_id)
        await served.live.publish(Delta(job_id, 1, 1, 0, "said"))
        await served.append(job_id, turn_completed(1, "said"), tool_started(1))
        joined = asyncio.ensure_future(follow(served, job_id, after=5))
        await asyncio.sleep(0.3)
        await served.append(job_id, tool_completed(1), ended())
        heard = await asyncio.wait_for(joined, PATIENCE)
        assert [one.type for one in heard] == ["tool.completed", "job.ended"]
        await asyncio.wait_for(following, PATIENCE)

    async def test_a_turn_generated_again_after_a_crash_says_so(self, served: Served) -> None:
        job_id = await served.create()
        await served.append(job_id, attempt(), turn_started(1))
        async with Follower(served, job_id) as follower:
            await _listened_to(served, job_id)
            await served.live.publish(Delta(job_id, 1, 1, 0, "lost"))
            await follower.until(lambda one: one.type == "turn.delta")
            await served.take_over(job_id)
            await served.append(job_id, attempt(), ev.EffectUnknown(intent_seq=3, intent_type="turn.started", turn=1))
            await served.live.publish(Delta(job_id, 1, 2, 0, "", kind="restarted"))
            await served.append(job_id, turn_started(1))
            await served.live.publish(Delta(job_id, 1, 2, 0, "found"))
            await follower.until(lambda one: one.data.get("text") == "found")
            await served.append(job_id, turn_completed(1, "found"), ended())
            heard = await follower.all()
        live = [(one.type, one.data["attempt"], one.data.get("text")) for one in heard if one.id is None]
        assert live == [("turn.delta", 1, "lost"), ("turn.restarted", 2, None), ("turn.delta", 2, "found")]
        assert numbers(heard) == list(range(1, 9))
        again = await follow(served, job_id)
        assert [one.type for one in again if one.id is None] == ["turn.restarted"], "said to late joiners too"

    async def test_nobody_follows_once_all_have_gone(self, served: Served) -> None:
        job_id = await served.create()
        await served.append(job_id, attempt(), turn_started(1))
        await follow(served, job_id, stop_at="turn.started")
        async with asyncio.timeout(PATIENCE):
            while await served.live.listening(job_id):
                await asyncio.sleep(0.01)


class TestEndings:
    async def test_a_silent_stream_shows_signs_of_life(self, served: Served) -> None:
        job_id = await served.create()
        async with asyncio.timeout(PATIENCE):
            for headers, sign in ((SSE, b": keep-alive\n"), (NDJSON, b'"type":"remark"')):
                async with served.session.get(f"{served.base}/v1/research/{job_id}/events", headers=headers) as answer:
                    async for line in answer.content:
                        if sign in line:
                            break

    async def test_a_deleted_job_ends_its_streams(self, served: Served) -> None:
        job_id = await served.create()
        following = asyncio.ensure_future(follow(served, job_id))
        await _listened_to(served, job_id)
        await served.call("DELETE", f"/v1/research/{job_id}")
        assert numbers(await asyncio.wait_for(following, PATIENCE)) == [1]

    async def test_a_stopping_server_ends_its_streams_and_waiters(self, start: Start) -> None:
        served = await start(pace=StreamPace(poll_seconds=0.2, keep_alive_seconds=60))
        job_id = await served.create()
        following = asyncio.ensure_future(follow(served, job_id))
        waiting = asyncio.ensure_future(
            served.call("POST", "/v1/research", json={"input": "q"}, headers={"Prefer": "wait=300"})
        )
        await _listened_to(served, job_id)
        while len((await served.store.list("default")).jobs) < 2:
            await asyncio.sleep(0.01)
        served.stop.set()
        await asyncio.wait_for(served.running, PATIENCE)
        assert numbers(await following) == [1]
        assert (await waiting)[0] == 202


class TestManyAndSlow:
    async def test_a_client_that_takes_nothing_costs_little_and_is_let_go(self, start: Start) -> None:
        served = await start(pace=StreamPace(poll_seconds=0.05, keep_alive_seconds=60, stall_seconds=0.5))
        job_id = await served.create()
        await served.append(job_id, attempt(), turn_started(1))
        _reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
        writer.write(f"GET /v1/research/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await _listened_to(served, job_id)
        piece = "x" * 100_000
        for number in range(200):
            await served.live.publish(Delta(job_id, 1, 1, number * len(piece), piece))
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            while await served.live.listening(job_id):
                await asyncio.sleep(0.05)
        writer.close()
        assert (await served.call("GET", "/livez"))[0] == 200

    async def test_a_slow_client_hears_everything(self, served: Served) -> None:
        job_id = await served.create()
        for turn in range(1, 11):
            if turn == 1:
                await served.append(job_id, attempt())
            await served.append(job_id, turn_started(turn), turn_completed(turn, "y" * 200_000))
        await served.append(job_id, ended())
        got: list[int] = []
        async with asyncio.timeout(PATIENCE):
            async with served.session.get(
                f"{served.base}/v1/research/{job_id}/events", headers=SSE, read_bufsize=2**20
            ) as answer:
                async for one in sse(answer):
                    got.append(int(one.id or 0))
                    await asyncio.sleep(0.03)
        assert got == list(range(1, 24))

    async def test_many_streams_at_once_and_nothing_left_behind(self, served: Served) -> None:
        job_id = await served.create()
        before = _tasks()
        following = [asyncio.ensure_future(follow(served, job_id)) for _ in range(150)]
        await _listened_to(served, job_id)
        await asyncio.sleep(0.2)
        half = following[:75]
        for one in half:
            one.cancel()
        await tell(served, job_id, pause=0)
        for heard in await asyncio.wait_for(asyncio.gather(*following[75:]), PATIENCE):
            assert numbers(heard) == list(range(1, LENGTH + 1))
        async with asyncio.timeout(PATIENCE):
            while _tasks() > before or await served.live.listening(job_id):
                gc.collect()
                await asyncio.sleep(0.05)


def _tasks() -> int:
    """Tasks of streams that run now."""
    names = ("JobStream", "FrameResponse", "_until_gone")
    return sum(any(name in repr(task.get_coro()) for name in names) for task in asyncio.all_tasks())


async def _listened_to(served: Served, job_id: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await served.live.listening(job_id):
            await asyncio.sleep(0.01)
