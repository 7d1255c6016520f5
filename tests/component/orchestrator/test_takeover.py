"""Several workers on one store: leases, takeover, drain, and one job driven by name."""

import asyncio
from typing import ClassVar

import pytest

from literesearcher.errors import BoundaryError, NotFound, UnfoldableEvent
from literesearcher.jobs.model import Letter
from literesearcher.research.events import AttemptStarted, EffectUnknown, TurnCompleted
from literesearcher.testing.scripted_engine import ScriptedEngine
from literesearcher.tools.port import ToolResult


class Gate:
    """A step that says its text once the gate is opened."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.closed_early = False

    async def __call__(self, request) -> str:
        self.entered.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.closed_early = True
            raise
        return self.text


class Deaf:
    """A store whose heartbeats do not arrive, as from a process that was stopped."""

    def __init__(self, store) -> None:
        self._store = store
        self.deaf = False

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def renew(self, held, *, lease_seconds):
        if self.deaf:
            raise BoundaryError("no answer", code="store_unreachable", transient=True)
        return await self._store.renew(held, lease_seconds=lease_seconds)


async def test_two_workers_never_run_the_same_job_at_once(bench, say):
    running: set[str] = set()
    doubled: list[str] = []

    async def step(request):
        if request.program in running:
            doubled.append(request.program)
        running.add(request.program)
        await asyncio.sleep(0.002)
        running.discard(request.program)
        return say.search("a") if request.turn < 3 else say.answer("x")

    world = bench(ScriptedEngine([step] * 120), max_concurrent_jobs=10)
    jobs = [await world.create(str(n)) for n in range(40)]
    async with world.serving(world.worker("one"), world.worker("two")):
        for job in jobs:
            assert (await world.ended(job)).status == "completed"
    assert doubled == []
    workers = {event.worker for job in jobs for event in await world.events(job) if isinstance(event, AttemptStarted)}
    assert workers == {"one", "two"}
    for job in jobs:
        assert (await world.types(job)).count("attempt.started") == 1


async def test_a_heartbeat_keeps_a_long_call_from_being_taken_over(bench, say, clock):
    gate = Gate(say.answer("x"))
    world = bench(ScriptedEngine([gate]))
    job = await world.create()
    async with world.serving(world.worker("one"), world.worker("two")):
        await gate.entered.wait()
        for _ in range(30):
            await clock.advance(10)
        gate.open.set()
        assert (await world.ended(job)).status == "completed"
    assert (await world.types(job)).count("attempt.started") == 1


async def test_a_lease_lost_in_mid_call_closes_the_call_and_appends_nothing(bench, say, clock):
    first, second = Gate(say.answer("of the dead")), Gate(say.answer("of the living"))
    world = bench(ScriptedEngine([first, second]))
    store = world.store
    job = await world.create()
    world.store = deaf = Deaf(store)
    cut_off = world.worker("cut off")
    world.store = store
    healthy = world.worker("healthy")
    async with world.serving(cut_off):
        await first.entered.wait()
        deaf.deaf = True
        async with world.serving(healthy):
            await clock.advance(31)
            await world.until(lambda: first.closed_early)
            await second.entered.wait()
            first.open.set()
            second.open.set()
            ended = await world.ended(job)
    assert ended.output_text == "of the living"
    rows = await world.store.read(job.id)
    assert [row.fence for row in rows] == sorted(row.fence for row in rows)
    assert [row.type for row in rows] == [
        "job.created",
        "attempt.started",
        "turn.started",
        "attempt.started",
        "effect.unknown",
        "turn.started",
        "turn.completed",
        "job.ended",
    ]
    assert ended.usage.unknown_effects == 1


async def test_a_worker_that_slept_through_its_lease_cannot_append(bench, say, clock):
    """The process was suspended: no heartbeat said so, and the result comes after another has taken over."""
    first = Gate(say.answer("late"))
    world = bench(ScriptedEngine([first, say.answer("in time")]))
    store = world.store
    job = await world.create()

    class Suspended(Deaf):
        async def renew(self, held, *, lease_seconds):
            await asyncio.Event().wait()

    world.store = Suspended(store)
    sleeper = world.worker("sleeper")
    world.store = store
    async with world.serving(sleeper):
        await first.entered.wait()
        await clock.advance(31)
        async with world.serving(world.worker("awake")):
            ended = await world.ended(job)
        first.open.set()
        await asyncio.sleep(0.05)
    assert ended.output_text == "in time"
    assert (await world.types(job)).count("turn.completed") == 1
    assert (await world.types(job))[-1] == "job.ended"


async def test_what_was_heard_of_a_turn_is_declared_void_by_the_next_holder(bench, say, clock):
    world = bench(ScriptedEngine([say.search("a"), say.answer("x")]))
    job = await world.create()
    async with world.serving():
        await world.ended(job)
    rows = await world.store.read(job.id)
    other = await world.create()
    (claim,) = await world.store.claim("dead", lease_seconds=30)
    await world.store.append(
        other.id,
        fence=claim.fence,
        expected_seq=2,
        attempt=claim.attempt,
        at=clock.now(),
        events=[row.event for row in rows[1:3]],
    )
    await clock.advance(31)
    kinds: list[tuple[str, int, int]] = []
    following = asyncio.Event()

    async def follow() -> None:
        async with world.live.follow(other.id) as deltas:
            following.set()
            async for delta in deltas:
                kinds.append((delta.kind, delta.turn, delta.attempt))
                if delta.kind == "text":
                    return

    listener = asyncio.create_task(follow())
    await following.wait()
    world.engine = ScriptedEngine([say.answer("again")])
    async with world.serving():
        await world.ended(other)
        async with asyncio.timeout(30):
            await listener
    assert kinds == [("restarted", 1, 2), ("text", 1, 2)]
    unknown = next(event for event in await world.events(other) if isinstance(event, EffectUnknown))
    assert (unknown.intent_seq, unknown.intent_type, unknown.turn) == (3, "turn.started", 1)


async def test_draining_keeps_the_running_calls_result_and_hands_the_job_back(bench, say):
    gate = Gate(say.search("a"))
    world = bench(ScriptedEngine([gate]))
    job = await world.create()
    waiting = None
    async with world.serving() as stop:
        await gate.entered.wait()
        stop.set()
        waiting = await world.create("not to be claimed any more")
        await asyncio.sleep(0.05)
        gate.open.set()
    assert (await world.job(job)).status == "queued"
    assert (await world.types(job))[-1] == "turn.completed"
    assert (await world.types(waiting)) == ["job.created"]
    # The next worker takes it at once, without waiting for a lease to run out, and pays for no call again.
    world.engine = ScriptedEngine([say.answer("x"), say.answer("y")])
    async with world.serving(world.worker("next")):
        assert (await world.ended(job)).status == "completed"
        await world.ended(waiting)
    world.engine.verify()
    assert "effect.unknown" not in await world.types(job)


async def test_draining_lets_a_job_end_that_was_at_its_last_call(bench, say):
    gate = Gate(say.answer("x"))
    world = bench(ScriptedEngine([gate]))
    job = await world.create()
    async with world.serving() as stop:
        await gate.entered.wait()
        stop.set()
        gate.open.set()
    assert (await world.job(job)).status == "completed"


async def test_a_call_longer_than_the_grace_period_is_closed_and_handed_back(bench, say, clock):
    gate = Gate(say.answer("x"))
    world = bench(ScriptedEngine([gate]))
    job = await world.create()
    async with world.serving() as stop:
        await gate.entered.wait()
        stop.set()
        await asyncio.sleep(0.02)
        assert not gate.closed_early
        await clock.advance(31)
    assert gate.closed_early
    assert (await world.job(job)).status == "queued"
    assert [claim.job.id for claim in await world.store.claim("next", lease_seconds=30)] == [job.id]


async def test_a_hard_stop_closes_calls_and_hands_back(bench, say):
    gate = Gate(say.answer("x"))
    world = bench(ScriptedEngine([gate]))
    job = await world.create()
    run = asyncio.create_task(world.worker().run(asyncio.Event()))
    await gate.entered.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert gate.closed_early
    assert [claim.job.id for claim in await world.store.claim("next", lease_seconds=30)] == [job.id]


async def test_a_job_of_a_newer_program_stays_queued_and_others_go_on(bench, say, clock):
    world = bench(ScriptedEngine([say.answer("x")]))
    strange = await world.create("strange")
    job = await world.create("usual")
    store = world.store

    class Newer(Deaf):
        async def read(self, job_id, **fields):
            rows = await store.read(job_id, **fields)
            if job_id != strange.id:
                return rows
            return [type(row)(**{**{n: getattr(row, n) for n in row.__slots__}, "event": None}) for row in rows]

    world.store = Newer(store)
    async with world.serving():
        assert (await world.ended(job)).status == "completed"
    assert (await world.job(strange)).status == "queued"
    assert await store.claim("another old one", lease_seconds=30) == []
    assert [row.type for row in await store.read(strange.id)] == ["job.created"]
    with pytest.raises(UnfoldableEvent):
        await world.worker().run_job(strange.id)


async def test_one_job_by_name(bench, say):
    world = bench(ScriptedEngine([say.answer("mine")]))
    other = await world.create("other")
    job = await world.create()
    ended = await world.worker().run_job(job.id)
    assert (ended.status, ended.output_text) == ("completed", "mine")
    assert (await world.job(other)).status == "queued"
    # An ended job is given as it is, an unknown one is told apart.
    assert await world.worker().run_job(job.id) == ended
    with pytest.raises(NotFound):
        await world.worker().run_job(job.id[:-1] + ("0" if job.id[-1] != "0" else "1"))
    with pytest.raises(NotFound):
        await world.worker().run_job(job.id, tenant_id="somebody")


async def test_one_job_by_name_waits_for_a_dead_holder_and_says_how_long(bench, say, clock):
    world = bench(ScriptedEngine([say.answer("x")]))
    job = await world.create()
    await world.store.claim("dead", lease_seconds=30)
    waits: list[float] = []
    run = asyncio.create_task(world.worker().run_job(job.id, on_wait=waits.append))

    async def over() -> bool:
        await clock.advance(0.5)
        return run.done()

    await world.until(over)
    assert (await run).status == "completed"
    assert waits[0] == 30.0
    assert waits == sorted(waits, reverse=True)
    assert min(waits) < 5


async def test_one_job_by_name_that_a_living_worker_holds_is_awaited(bench, say, clock):
    gate = Gate(say.answer("theirs"))
    world = bench(ScriptedEngine([gate]))
    job = await world.create()
    waits: list[float] = []
    async with world.serving():
        await gate.entered.wait()
        run = asyncio.create_task(world.worker("me").run_job(job.id, on_wait=waits.append))

        async def patient() -> bool:
            await clock.advance(5)
            return 0.0 in waits

        await world.until(patient)
        gate.open.set()

        async def over() -> bool:
            await clock.advance(1)
            return run.done()

        await world.until(over)
    assert (await run).output_text == "theirs"
    assert (await world.types(job)).count("attempt.started") == 1


async def test_one_job_by_name_can_be_cancelled_through_its_inbox(bench, say):
    gate = Gate("never")
    world = bench(ScriptedEngine([gate]))
    job = await world.create()
    run = asyncio.create_task(world.worker().run_job(job.id))
    await gate.entered.wait()
    await world.store.post("default", job.id, Letter("cancel"))
    await world.live.ring(f"inbox:{job.id}")
    assert (await run).status == "cancelled"


async def test_a_caller_that_is_cancelled_hands_its_one_job_back(bench, say):
    gate = Gate("never")
    world = bench(ScriptedEngine([gate]))
    job = await world.create()
    run = asyncio.create_task(world.worker().run_job(job.id))
    await gate.entered.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    world.engine = ScriptedEngine([say.answer("x")])
    assert (await world.worker("resumed").run_job(job.id)).status == "completed"
    assert any(isinstance(event, TurnCompleted) for event in await world.events(job))


async def test_a_tool_call_lost_with_its_process_is_made_again(bench, say, library, clock):
    entered = asyncio.Event()

    async def hang(request):
        entered.set()
        await asyncio.Event().wait()

    library.on_call = hang
    world = bench(ScriptedEngine([say.search("a")]))
    job = await world.create()
    run = asyncio.create_task(world.worker().run_job(job.id))
    await entered.wait()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)

    async def found(request):
        return ToolResult("second time")

    library.on_call = found
    world.engine = ScriptedEngine([say.answer("x")])
    ended = await world.worker("resumed").run_job(job.id)
    assert [call.arguments for call in library.calls] == [{"query": ["a"]}] * 2
    assert (await world.types(job)).count("tool.completed") == 1
    assert ended.usage.unknown_effects == 1


async def test_jobs_by_name_on_one_worker_share_its_heartbeat_and_not_their_fate(bench, say, clock):
    gates = {}

    async def step(request):
        gates[request.program] = gate = Gate(say.answer(request.program))
        return await gate(request)

    class Counting(Deaf):
        renewed: ClassVar[list[int]] = []

        async def renew(self, held, *, lease_seconds):
            self.renewed.append(len(held))
            return await super().renew(held, lease_seconds=lease_seconds)

    world = bench(ScriptedEngine([step] * 4))
    world.store = store = Counting(world.store)
    jobs = [await world.create(str(n)) for n in range(4)]
    worker = world.worker()
    runs = [asyncio.create_task(worker.run_job(job.id)) for job in jobs]
    await world.until(lambda: len(gates) == 4)
    await clock.advance(10.5)
    await world.until(lambda: store.renewed == [4])
    runs[0].cancel()
    await asyncio.gather(runs[0], return_exceptions=True)
    assert gates[jobs[0].id].closed_early
    for job in jobs[1:]:
        gates[job.id].open.set()
    assert [(await run).output_text for run in runs[1:]] == [job.id for job in jobs[1:]]
    assert (await world.job(jobs[0])).status == "queued"
