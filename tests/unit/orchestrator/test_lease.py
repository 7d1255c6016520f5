"""What may close a running effect, and what must come out as it is."""

import asyncio

import pytest

from literesearcher.errors import BoundaryError


def nothing() -> None:
    """No fault point."""


@pytest.fixture
def held(lease):
    return lease()


async def open_call(closed: list[str]) -> str:
    try:
        await asyncio.Event().wait()
    finally:
        closed.append("closed")
    return "never"


@pytest.mark.parametrize("ask", [lambda held: held.ask_cancel("enough"), lambda held: held.pass_deadline()])
async def test_an_interruption_closes_the_effect_and_gives_none(held, ask):
    closed: list[str] = []
    effect = asyncio.create_task(held.during(open_call(closed), nothing))
    for _ in range(5):
        await asyncio.sleep(0)
    ask(held)
    assert await effect is None
    assert closed == ["closed"]


async def test_an_interruption_before_the_effect_keeps_it_from_going_out(held):
    held.ask_cancel("")
    sent: list[str] = []

    async def call() -> str:
        sent.append("request")
        return "answer"

    assert await held.during(call(), nothing) is None
    assert sent == []


async def test_a_result_that_came_with_the_interruption_is_kept(held):
    async def call() -> str:
        held.ask_cancel("")
        return "paid for"

    assert await held.during(call(), nothing) in ("paid for", None)


async def test_losing_the_lease_is_no_interruption(held):
    closed: list[str] = []
    held.task = asyncio.create_task(held.during(open_call(closed), nothing))
    for _ in range(5):
        await asyncio.sleep(0)
    held.lose()
    with pytest.raises(asyncio.CancelledError):
        await held.task
    assert closed == ["closed"]


async def test_the_worker_stopping_hard_wins_over_an_interruption(held):
    closed: list[str] = []
    task = asyncio.create_task(held.during(open_call(closed), nothing))
    for _ in range(5):
        await asyncio.sleep(0)
    held.ask_cancel("")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_failure_comes_out_but_not_one_made_by_the_closing(held):
    async def fails() -> str:
        raise BoundaryError("down", code="engine_unreachable")

    with pytest.raises(BoundaryError):
        await held.during(fails(), nothing)

    async def fails_when_closed() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise BoundaryError("connection closed", code="engine_unreachable") from None
        return "never"

    effect = asyncio.create_task(held.during(fails_when_closed(), nothing))
    for _ in range(5):
        await asyncio.sleep(0)
    held.pass_deadline()
    assert await effect is None


async def test_a_job_that_was_cancelling_when_claimed_is_cancelled(lease):
    assert lease(status="cancelling").interrupted
    assert not lease(status="queued").interrupted
