"""The contract of `tools.cache.port.KeptStore`: kept bytes and locks, in one process or between several.

A test subclasses `KeptStoreContract` and gives three fixtures: `store` and `second`, two ends of the same backend (or
one and the same), and `pass_time`, which lets so many seconds pass for it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest

from literesearcher.tools.cache.port import KeptStore

PATIENCE_SECONDS = 30.0
LONG = 600.0
BYTES = bytes(range(256)) * 40
PassTime = Callable[[float], Awaitable[None]]


class KeptStoreContract:
    """`key` is one that no other test uses."""

    @pytest.fixture
    def key(self) -> str:
        """Unused."""
        return uuid.uuid4().hex

    async def test_what_is_put_is_got_to_the_byte(self, store: KeptStore, second: KeptStore, key: str) -> None:
        assert await store.get(key) is None
        await store.put(key, BYTES, seconds=LONG)
        assert await second.get(key) == BYTES
        await second.put(key, b"", seconds=LONG)
        assert await store.get(key) == b""

    async def test_keys_do_not_touch_each_other(self, store: KeptStore, key: str) -> None:
        await store.put(key, b"one", seconds=LONG)
        await store.put(key + "2", b"two", seconds=LONG)
        assert (await store.get(key), await store.get(key + "2")) == (b"one", b"two")

    async def test_a_value_lives_as_long_as_it_was_put_for(
        self, store: KeptStore, key: str, pass_time: PassTime
    ) -> None:
        await store.put(key, b"short", seconds=0.2)
        await store.put(key + "2", b"long", seconds=LONG)
        await pass_time(0.4)
        assert await store.get(key) is None
        assert await store.get(key + "2") == b"long"

    async def test_putting_again_replaces_value_and_lifetime(
        self, store: KeptStore, key: str, pass_time: PassTime
    ) -> None:
        await store.put(key, b"old", seconds=0.2)
        await store.put(key, b"new", seconds=LONG)
        await pass_time(0.4)
        assert await store.get(key) == b"new"

    async def test_a_lock_has_one_holder(self, store: KeptStore, second: KeptStore, key: str) -> None:
        assert await store.lock(key, "a", seconds=LONG)
        assert not await second.lock(key, "b", seconds=LONG)
        assert await store.lock(key, "a", seconds=LONG), "its holder has it still"
        assert await second.lock(key + "2", "b", seconds=LONG), "another key's lock is another lock"

    async def test_only_its_holder_frees_a_lock(self, store: KeptStore, second: KeptStore, key: str) -> None:
        await store.lock(key, "a", seconds=LONG)
        await second.unlock(key, "b")
        assert not await second.lock(key, "b", seconds=LONG)
        await store.unlock(key, "a")
        assert await second.lock(key, "b", seconds=LONG)
        await store.unlock(key, "a")
        assert not await store.lock(key, "a", seconds=LONG), "one that came late frees nothing"

    async def test_a_lock_runs_out_unless_it_is_renewed(
        self, store: KeptStore, second: KeptStore, key: str, pass_time: PassTime
    ) -> None:
        await store.lock(key, "a", seconds=0.2)
        await store.lock(key + "2", "a", seconds=0.2)
        await store.lock(key + "2", "a", seconds=LONG)
        await pass_time(0.4)
        assert await second.lock(key, "b", seconds=LONG)
        assert not await store.lock(key, "a", seconds=LONG), "who lost it does not get it back"
        assert not await second.lock(key + "2", "b", seconds=LONG)

    async def test_lock_and_value_do_not_hide_each_other(self, store: KeptStore, key: str) -> None:
        await store.lock(key, "a", seconds=LONG)
        assert await store.get(key) is None
        await store.put(key, b"v", seconds=LONG)
        assert not await store.lock(key, "b", seconds=LONG)
        await store.unlock(key, "a")
        assert await store.get(key) == b"v"

    async def test_of_many_at_once_one_gets_the_lock(self, store: KeptStore, second: KeptStore, key: str) -> None:
        ends = [store, second] * 20
        got = await asyncio.gather(*(end.lock(key, f"t{i}", seconds=LONG) for i, end in enumerate(ends)))
        assert got.count(True) == 1

    async def test_waiting_ends_when_the_lock_is_freed(self, store: KeptStore, second: KeptStore, key: str) -> None:
        await store.lock(key, "a", seconds=LONG)
        waiting = asyncio.create_task(second.wait(key, seconds=LONG))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await store.unlock(key, "a")
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)

    async def test_waiting_ends_when_the_lock_runs_out(
        self, store: KeptStore, second: KeptStore, key: str, pass_time: PassTime
    ) -> None:
        await store.lock(key, "a", seconds=0.3)
        waiting = asyncio.create_task(second.wait(key, seconds=LONG))
        await pass_time(0.5)
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)
        assert await second.lock(key, "b", seconds=LONG)

    async def test_waiting_is_no_longer_than_asked_for(
        self, store: KeptStore, second: KeptStore, key: str, pass_time: PassTime
    ) -> None:
        await store.lock(key, "a", seconds=LONG)
        waiting = asyncio.create_task(second.wait(key, seconds=0.2))
        await pass_time(0.4)
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)
        assert not await second.lock(key, "b", seconds=LONG)

    async def test_nobody_waits_on_a_lock_that_is_free(self, store: KeptStore, key: str) -> None:
        await asyncio.wait_for(store.wait(key, seconds=LONG), PATIENCE_SECONDS)

    async def test_a_cancelled_operation_leaves_the_store_usable(
        self, store: KeptStore, second: KeptStore, key: str
    ) -> None:
        await store.lock(key, "a", seconds=LONG)
        tasks = [asyncio.create_task(second.wait(key, seconds=LONG)) for _ in range(3)]
        tasks += [asyncio.create_task(store.put(key, BYTES, seconds=LONG)) for _ in range(3)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.put(key, b"v", seconds=LONG)
        assert await second.get(key) == b"v"

    async def test_closing_twice_is_safe(self, store: KeptStore, key: str) -> None:
        await store.put(key, b"v", seconds=LONG)
        await store.aclose()
        await store.aclose()
