"""Prompts of callers of the raw model: encoded once for all choices, one at a time, and for those who still wait."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from literesearcher.engine.raw_prompts import RawPrompts


class Slow:
    """Encodes when it is let; remembers what it was asked, and how many it did at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[str] = []
        self.at_once = 0
        self.most = 0

    def encode_whole(self, text: str) -> list[int]:
        self.asked.append(text)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        assert self.go.wait(60)
        self.at_once -= 1
        return [len(text)]


@pytest.fixture
def slow() -> Any:
    made = Slow()
    yield made
    made.go.set()


async def test_the_choices_of_a_request_share_one_encoding(slow: Slow) -> None:
    prompts = RawPrompts(slow)  # type: ignore[arg-type]
    works = [asyncio.create_task(prompts.ids("one prompt")) for _ in range(16)]
    await asyncio.sleep(0)
    slow.go.set()
    found = await asyncio.gather(*works)
    assert found == [[10]] * 16
    assert slow.asked == ["one prompt"]
    found[0].append(7)
    assert found[1] == [10]
    assert await prompts.ids("one prompt") == [10], "nothing is kept of it"
    assert len(slow.asked) == 2


async def test_several_prompts_hold_one_thread(slow: Slow) -> None:
    prompts = RawPrompts(slow)  # type: ignore[arg-type]
    works = [asyncio.create_task(prompts.ids("x" * size)) for size in range(1, 9)]
    await asyncio.sleep(0)
    slow.go.set()
    assert await asyncio.gather(*works) == [[size] for size in range(1, 9)]
    assert slow.most == 1


async def test_a_caller_who_gives_up_ends_it_for_nobody_else(slow: Slow) -> None:
    prompts = RawPrompts(slow)  # type: ignore[arg-type]
    first, second = (asyncio.create_task(prompts.ids("shared")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    slow.go.set()
    assert await second == [6]


async def test_ids_are_the_callers_own(slow: Slow) -> None:
    assert await RawPrompts(slow).ids((3, 1, 2)) == [3, 1, 2]  # type: ignore[arg-type]
    assert slow.asked == []
