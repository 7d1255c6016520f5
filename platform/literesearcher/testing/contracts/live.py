"""The contract of `jobs.live.Live`: what is heard in one process or between several.

A test subclasses `LiveContract` and gives two fixtures, `live` and `second`: two ends of the same backend (or one and
the same). Deliveries are awaited, never timed.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from literesearcher.jobs.live import Delta, Live

PATIENCE_SECONDS = 30.0
SILENCE_SECONDS = 0.3
TEXT = "<think>\nein “Wort”, 漢字 \x00 \U0001f300\n</think>"


async def gather(deltas: AsyncIterator[Delta], characters: int) -> list[Delta]:
    """Deltas until they hold that many characters."""
    heard: list[Delta] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while sum(len(delta.text) for delta in heard) < characters:
            heard.append(await anext(deltas))
    return heard


async def silent(deltas: AsyncIterator[Delta]) -> bool:
    """Nothing comes for a while."""
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            await anext(deltas)
    except TimeoutError:
        return True
    return False


async def heard_eventually(live: Live, job: str, expected: bool) -> None:
    """Until `listening` says so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        # Another process keeps this: there is no event to wait for.
        while await live.listening(job) is not expected:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def joined_text(deltas: list[Delta]) -> str:
    """The text, each piece where its offset says: no gap, no overlap."""
    text = ""
    for delta in deltas:
        assert delta.offset == len(text)
        text += delta.text
    return text


class LiveContract:
    """`live` and `second` are fixtures of the subclass; `job` is an unused job id."""

    @pytest.fixture
    def job(self) -> str:
        """A job that no other test follows."""
        return f"job_{uuid.uuid4().hex}"

    async def say(self, live: Live, job: str, text: str, *, turn: int = 1, attempt: int = 1, offset: int = 0) -> None:
        """Publish a text one character at a time."""
        for index, character in enumerate(text):
            await live.publish(Delta(job, turn, attempt, offset + index, character))

    async def test_a_follower_hears_every_character_once(self, live: Live, second: Live, job: str) -> None:
        """In order, with turn and attempt."""
        async with second.follow(job) as deltas:
            await self.say(live, job, TEXT)
            heard = await gather(deltas, len(TEXT))
        assert joined_text(heard) == TEXT
        assert {(delta.job_id, delta.turn, delta.attempt, delta.kind) for delta in heard} == {(job, 1, 1, "text")}

    async def test_a_late_joiner_gets_the_text_so_far_as_one(self, live: Live, second: Live, job: str) -> None:
        """And then goes on where it ends, while an early one hears on."""
        async with second.follow(job) as early:
            await self.say(live, job, TEXT)
            await gather(early, len(TEXT))
            async with second.follow(job) as late:
                so_far = await anext(late)
                assert (so_far.offset, so_far.text) == (0, TEXT)
                await self.say(live, job, "more", offset=len(TEXT))
                assert joined_text([so_far, *(await gather(late, 4))]) == TEXT + "more"
                assert "".join(delta.text for delta in await gather(early, 4)) == "more"

    async def test_joining_in_the_middle_of_a_stream(self, live: Live, second: Live, job: str) -> None:
        """Whenever one joins, nothing is missing and nothing comes twice."""
        text = TEXT * 20

        async def speak() -> None:
            for index, character in enumerate(text):
                await live.publish(Delta(job, 1, 1, index, character))
                if index % 9 == 0:
                    await asyncio.sleep(0.001)

        async def join(after: float) -> str:
            await asyncio.sleep(after)
            async with second.follow(job) as deltas:
                return joined_text(await gather(deltas, len(text)))

        joins = [join(0.02 * n) for n in range(6)]
        results = await asyncio.gather(speak(), *joins)
        assert results[1:] == [text] * 6

    async def test_a_finished_turn_is_forgotten(self, live: Live, second: Live, job: str) -> None:
        """A later joiner hears only of the next turn."""
        async with second.follow(job) as early:
            await self.say(live, job, TEXT)
            await gather(early, len(TEXT))
            await live.finish(job, 1)
            await self.say(live, job, "next", turn=2)
            await gather(early, 4)
            async with second.follow(job) as late:
                heard = await gather(late, 4)
        assert [(delta.turn, delta.offset, delta.text) for delta in heard] == [(2, 0, "next")]

    async def test_nothing_of_a_finished_turn_is_left(self, live: Live, second: Live, job: str) -> None:
        """Silence, also for text that was published just before."""
        async with second.follow(job) as early:
            await self.say(live, job, TEXT)
            await live.finish(job, 1)
            assert joined_text(await gather(early, len(TEXT))) == TEXT
            await live.publish(Delta(job, 2, 1, 0, "x"))
            await gather(early, 1)
            await live.finish(job, 2)
            await live.publish(Delta(job, 3, 1, 0, "y"))
            await gather(early, 1)
            await live.finish(job, 3)
            await live.publish(Delta(f"{job}x", 1, 1, 0, "z"))
            async with second.follow(f"{job}x") as other:
                await gather(other, 1)
            async with second.follow(job) as late:
                assert await silent(late)

    async def test_a_restarted_turn_voids_what_was_heard(self, live: Live, second: Live, job: str) -> None:
        """A late joiner hears the new attempt alone; what the old holder still says is not handed on."""
        async with second.follow(job) as early:
            await self.say(live, job, "old text")
            await gather(early, 8)
            await live.publish(Delta(job, 1, 2, 0, "", kind="restarted"))
            await self.say(live, job, "new", attempt=2)
            await self.say(live, job, " zombie", attempt=1, offset=8)
            await self.say(live, job, "er", attempt=2, offset=3)
            heard = await gather(early, 5)
            assert (heard[0].kind, heard[0].attempt, heard[0].text) == ("restarted", 2, "")
            assert joined_text(heard[1:]) == "newer"
            async with second.follow(job) as late:
                so_far = await anext(late)
        assert (so_far.text, so_far.attempt, so_far.offset, so_far.kind) == ("newer", 2, 0, "text")

    async def test_listening(self, live: Live, second: Live, job: str) -> None:
        """True while somebody follows, at either end; False again a while after the last one left."""
        assert not await live.listening(job)
        async with second.follow(job):
            await heard_eventually(live, job, True)
            async with live.follow(job):
                assert await live.listening(job)
            await heard_eventually(live, job, True)
        await heard_eventually(live, job, False)

    async def test_a_follower_that_does_not_read_holds_nobody_up(self, live: Live, second: Live, job: str) -> None:
        """Publishing goes on; another follower hears all."""
        async with second.follow(job), second.follow(job) as reading:
            await self.say(live, job, TEXT * 50)
            assert joined_text(await gather(reading, len(TEXT) * 50)) == TEXT * 50

    async def test_a_bell_rings_once_for_what_came_before(self, live: Live, second: Live, job: str) -> None:
        """It remembers rings since the last wait, and only its topic's."""
        async with second.listen(f"journal:{job}") as bell, second.listen(f"inbox:{job}") as other:
            assert not await bell.wait(0.01)
            await live.ring(f"journal:{job}")
            assert await bell.wait(PATIENCE_SECONDS)
            waiting = asyncio.create_task(bell.wait(PATIENCE_SECONDS))
            await asyncio.sleep(0)
            await live.ring(f"journal:{job}")
            assert await waiting
            assert not await other.wait(SILENCE_SECONDS)

    async def test_every_bell_of_a_topic_rings(self, live: Live, second: Live, job: str) -> None:
        """In this process and the other, more than one in each."""
        topic = f"queue:{job}"
        async with live.listen(topic) as a, live.listen(topic) as b, second.listen(topic) as c:
            await live.ring(topic)
            assert [await bell.wait(PATIENCE_SECONDS) for bell in (a, b, c)] == [True] * 3
            await second.ring(topic)
            assert [await bell.wait(PATIENCE_SECONDS) for bell in (a, b, c)] == [True] * 3

    async def test_a_ring_that_nobody_hears(self, live: Live, job: str) -> None:
        """No error, and it is not kept for who comes later."""
        await live.ring(f"journal:{job}")
        async with live.listen(f"journal:{job}") as bell:
            assert not await bell.wait(0.01)

    async def test_cancelled_while_following_and_waiting(self, live: Live, second: Live, job: str) -> None:
        """Others go on hearing."""

        async def follow() -> None:
            async with second.follow(job) as deltas, second.listen(f"journal:{job}") as bell:
                await asyncio.gather(anext(deltas), bell.wait(PATIENCE_SECONDS))

        async with second.follow(job) as deltas:
            tasks = [asyncio.create_task(follow()) for _ in range(5)]
            await heard_eventually(live, job, True)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.say(live, job, TEXT)
            assert joined_text(await gather(deltas, len(TEXT))) == TEXT

    async def test_closed_twice(self, live: Live, job: str) -> None:
        """No error, and nothing that is said afterwards raises."""
        await live.publish(Delta(job, 1, 1, 0, "x"))
        await live.aclose()
        await live.aclose()
        await live.publish(Delta(job, 1, 1, 1, "y"))
        await live.finish(job, 1)
        await live.ring(f"journal:{job}")
