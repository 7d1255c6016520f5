"""Jobs from claim to end: what is journalled, in which order, and how each kind of ending comes about."""

import asyncio

from literesearcher.engine.port import EngineInfo, Generation
from literesearcher.errors import BoundaryError
from literesearcher.jobs.model import Letter
from literesearcher.research.events import AttemptStarted, EffectFailed, JobEnded, ToolCompleted, TurnCompleted
from literesearcher.research.messages import Limits, Usage
from literesearcher.testing.scripted_engine import ScriptedEngine
from literesearcher.tools.port import ToolResult

DOWN = BoundaryError("nobody answers", code="engine_unreachable", transient=True)


class Hanging:
    """A step that never answers, and tells whether its call was opened and closed."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()

    async def __call__(self, request) -> str:
        self.opened.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.closed.set()
        return "never"


class CountingStore:
    """Counts the transactions of the store under it."""

    def __init__(self, store) -> None:
        self._store = store
        self.appends: list[list[str]] = []
        self.trouble: list[Exception] = []

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def append(self, job_id, **fields):
        if self.trouble:
            raise self.trouble.pop(0)
        rows = await self._store.append(job_id, **fields)
        self.appends.append([row.type for row in rows])
        return rows


async def test_a_job_is_journalled_step_by_step_two_transactions_a_turn(bench, say, library):
    engine = ScriptedEngine([say.search("a"), say.search("b"), say.answer("42")])
    world = bench(engine)
    world.store = CountingStore(world.store)
    job = await world.create()
    async with world.serving():
        ended = await world.ended(job)
    assert (ended.status, ended.stop_reason, ended.output_text) == ("completed", "answer", "42")
    assert world.store.appends == [
        ["attempt.started", "turn.started"],
        ["turn.completed", "tool.started"],
        ["tool.completed", "turn.started"],
        ["turn.completed", "tool.started"],
        ["tool.completed", "turn.started"],
        ["turn.completed", "job.ended"],
    ]
    engine.verify()
    assert [call.arguments for call in library.calls] == [{"query": ["a"]}, {"query": ["b"]}]
    assert (library.calls[0].ask.job_id, library.calls[0].ask.tenant_id) == (job.id, "default")
    first = (await world.events(job))[1]
    assert isinstance(first, AttemptStarted)
    assert (first.worker, first.engine, first.model) == ("worker", "scripted", "scripted-model")


async def test_each_request_starts_with_the_one_before_and_what_was_said(bench, say):
    engine = ScriptedEngine([say.search("a"), say.search("b"), say.answer("42")])
    world = bench(engine)
    job = await world.create("why?")
    async with world.serving():
        await world.ended(job)
    for before, after in zip(engine.requests, engine.requests[1:], strict=False):
        assert after.messages[: len(before.messages)] == before.messages
        # Not copied either: the values are the same objects from turn to turn.
        assert after.messages[0] is before.messages[0]
    assert engine.requests[1].messages[-2].content == say.search("a")
    assert 'found {"query": ["a"]}' in engine.requests[1].messages[-1].content


async def test_the_intent_is_committed_before_its_effect_starts(bench, say, library):
    seen: list[tuple[str, str]] = []

    async def turn(request):
        seen.append(("turn", (await world.types(job))[-1]))
        return say.search("a") if len(seen) == 1 else say.answer("x")

    async def call(request):
        seen.append(("tool", (await world.types(job))[-1]))
        return ToolResult("r")

    library.on_call = call
    world = bench(ScriptedEngine([turn, turn]))
    job = await world.create()
    async with world.serving():
        await world.ended(job)
    assert seen == [("turn", "turn.started"), ("tool", "tool.started"), ("turn", "turn.started")]


async def test_many_jobs_run_at_once_each_with_its_own_texts(bench, say):
    count, turns = 120, 3

    async def step(request):
        question = request.messages[-1].content if request.turn == 1 else None
        if question is not None:
            return say.search(f"about {question}")
        if request.turn < turns:
            return say.search(f"turn {request.turn} of {request.program}")
        return say.answer(request.program)

    world = bench(ScriptedEngine([step] * count * turns), max_concurrent_jobs=count)
    jobs = [await world.create(f"q{n}") for n in range(count)]
    async with world.serving():
        ended = [await world.ended(job) for job in jobs]
    assert [job.output_text for job in ended] == [job.id for job in jobs]
    assert {job.stop_reason for job in ended} == {"answer"}


async def test_no_more_jobs_run_than_the_setting_says(bench, say):
    running, most = 0, 0

    async def step(request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return say.answer("x")

    world = bench(ScriptedEngine([step] * 12), max_concurrent_jobs=3)
    jobs = [await world.create() for _ in range(12)]
    async with world.serving():
        for job in jobs:
            await world.ended(job)
    assert most == 3


async def test_priority_first_then_tenants_in_turn(bench, say):
    order: list[str] = []

    async def step(request):
        order.append(request.messages[-1].content)
        return say.answer("x")

    world = bench(ScriptedEngine([step] * 6), max_concurrent_jobs=1)
    jobs = [await world.create(f"busy {n}", tenant_id="busy") for n in range(3)]
    jobs.append(await world.create("other", tenant_id="other"))
    jobs.append(await world.create("urgent", tenant_id="busy", priority=9))
    jobs.append(await world.create("later", tenant_id="busy", priority=-1))
    async with world.serving():
        for job in jobs:
            await world.ended(job)
    assert order[0] == "urgent"
    assert order[-1] == "later"
    assert set(order) == {"urgent", "busy 0", "busy 1", "busy 2", "other", "later"}


async def test_a_new_job_is_taken_when_its_bell_rings(bench, say):
    world = bench(ScriptedEngine([say.answer("x")]))
    world.orchestrator = world.orchestrator.model_copy(update={"poll_seconds": 60.0})
    async with world.serving():
        await asyncio.sleep(0)
        job = await world.create()
        assert (await world.ended(job)).status == "completed"


async def test_a_cancel_closes_the_model_call_at_once(bench, say):
    call = Hanging()
    world = bench(ScriptedEngine([say.search("a"), call]))
    job = await world.create()
    async with world.serving():
        await call.opened.wait()
        await world.store.post("default", job.id, Letter("cancel", {"reason": "enough"}))
        await world.live.ring(f"inbox:{job.id}")
        async with asyncio.timeout(30):
            await call.closed.wait()
        ended = await world.ended(job)
    assert (ended.status, ended.stop_reason) == ("cancelled", "cancelled")
    assert (await world.types(job))[-3:] == ["turn.started", "cancel.requested", "job.ended"]
    assert (await world.events(job))[-2].reason == "enough"
    assert ended.usage.tool_calls == 1


async def test_a_cancel_closes_the_tool_call_at_once(bench, say, library):
    call = Hanging()
    library.on_call = call
    world = bench(ScriptedEngine([say.search("a")]))
    job = await world.create()
    async with world.serving():
        await call.opened.wait()
        await world.store.post("default", job.id, Letter("cancel"))
        await world.live.ring(f"inbox:{job.id}")
        assert (await world.ended(job)).status == "cancelled"
    assert call.closed.is_set()


async def test_a_cancel_that_rang_no_bell_is_found_by_the_heartbeat(bench, clock):
    call = Hanging()
    world = bench(ScriptedEngine([call]))
    job = await world.create()
    async with world.serving():
        await call.opened.wait()
        await world.store.post("default", job.id, Letter("cancel"))
        await clock.advance(11)
        assert (await world.ended(job)).status == "cancelled"
    assert call.closed.is_set()


async def test_a_cancel_that_a_dead_holder_had_read_is_not_forgotten(bench, clock):
    world = bench(ScriptedEngine([]))
    job = await world.create()
    (claim,) = await world.store.claim("dead", lease_seconds=30)
    await world.store.post("default", job.id, Letter("cancel"))
    assert [letter.kind for letter in await world.store.drain(job.id, claim.fence)] == ["cancel"]
    await clock.advance(31)
    async with world.serving():
        assert (await world.ended(job)).status == "cancelled"


async def test_a_deleted_job_stops_and_writes_nothing(bench):
    call = Hanging()
    world = bench(ScriptedEngine([call]))
    job = await world.create()
    async with world.serving():
        await call.opened.wait()
        await world.store.delete("default", job.id)
        await world.live.ring(f"inbox:{job.id}")
        async with asyncio.timeout(30):
            await call.closed.wait()
    assert await world.store.read(job.id) == []


async def test_the_deadline_ends_a_model_call_with_timeout(bench, say, clock):
    call = Hanging()
    world = bench(ScriptedEngine([say.search("a"), call]))
    job = await world.create(timeout_seconds=100)
    async with world.serving():
        await call.opened.wait()
        for _ in range(11):
            await clock.advance(10)
        ended = await world.ended(job)
    assert call.closed.is_set()
    assert (ended.status, ended.stop_reason) == ("incomplete", "timeout")
    assert (await world.types(job))[-2:] == ["deadline.reached", "job.ended"]


async def test_a_job_whose_deadline_passed_in_the_queue_calls_nothing(bench, clock):
    engine = ScriptedEngine([])
    world = bench(engine)
    job = await world.create(timeout_seconds=5)
    await clock.advance(6)
    async with world.serving():
        assert (await world.ended(job)).stop_reason == "timeout"
    engine.verify()


async def test_an_engine_that_is_down_fails_the_job_which_keeps_what_it_had(bench, say, clock):
    world = bench(ScriptedEngine([say.search("a"), *[DOWN] * 3]), tries=3)
    job = await world.create()

    async def over() -> bool:
        await clock.advance(1)
        return (await world.job(job)).status == "failed"

    async with world.serving():
        await world.until(over)
    ended = await world.job(job)
    assert (ended.stop_reason, ended.error_code) == ("server_error", "engine_unreachable")
    events = await world.events(job)
    failed = next(event for event in events if isinstance(event, EffectFailed))
    assert (failed.code, failed.tries) == ("engine_unreachable", 3)
    assert any(isinstance(event, ToolCompleted) for event in events)
    assert ended.usage.turns == 1


async def test_an_engine_that_cannot_even_say_its_name_fails_the_job(bench, clock):
    class Nameless(ScriptedEngine):
        async def describe(self) -> EngineInfo:
            raise BoundaryError("no such host", code="engine_unreachable")

    world = bench(Nameless([]))
    job = await world.create()
    async with world.serving():
        ended = await world.ended(job)
    assert (ended.status, ended.stop_reason, ended.error_code) == ("failed", "server_error", "engine_unreachable")


async def test_a_refused_prompt_ends_with_its_own_reason(bench):
    from literesearcher.errors import PromptTooLong

    world = bench(ScriptedEngine([PromptTooLong("too long")]))
    job = await world.create()
    async with world.serving():
        assert (await world.ended(job)).stop_reason == "length_limit_exceeded"


async def test_empty_turns_and_noise_go_on_until_the_turn_limit(bench):
    noise = ["", "   ", "<think>\nhm", "<tool_call>\n{]", "</answer>", "\x00\x1b[2J"]
    world = bench(ScriptedEngine([Generation(text, "length", Usage(1, 1), "m") for text in noise]))
    job = await world.create(limits=Limits(max_turns=len(noise)))
    async with world.serving():
        ended = await world.ended(job)
    assert ended.status == "incomplete"
    assert ended.usage.turns == len(noise)
    assert [event.text for event in await world.events(job) if isinstance(event, TurnCompleted)] == noise


async def test_a_tool_proxy_that_is_gone_fails_the_job(bench, say, library, clock):
    async def call(request):
        raise BoundaryError("no proxy", code="tools_unreachable", transient=False)

    library.on_call = call
    world = bench(ScriptedEngine([say.search("a")]))
    job = await world.create()
    async with world.serving():
        ended = await world.ended(job)
    assert (ended.status, ended.error_code) == ("failed", "tools_unreachable")


async def test_a_job_that_breaks_the_platform_stops_no_other(bench, say, caplog):
    async def step(request):
        if "poison" in request.messages[-1].content:
            raise ZeroDivisionError("a bug")
        return say.answer("fine")

    world = bench(ScriptedEngine([step] * 3))
    poison = await world.create("poison")
    others = [await world.create("a"), await world.create("b")]
    async with world.serving():
        assert [(await world.ended(job)).output_text for job in others] == ["fine", "fine"]
        broken = await world.ended(poison)
    assert (broken.status, broken.stop_reason, broken.error_code) == ("failed", "internal_error", "internal_error")
    assert poison.id in caplog.text
    assert isinstance((await world.events(poison))[-1], JobEnded)


async def test_a_result_that_no_journal_takes_ends_its_job_only(bench, say, library):
    async def call(request):
        return ToolResult("half a character \ud800")

    library.on_call = call
    world = bench(ScriptedEngine([say.search("a")]))
    job = await world.create()
    store = world.store

    class Strict(CountingStore):
        async def append(self, job_id, **fields):
            for event in fields["events"]:
                if isinstance(event, ToolCompleted):
                    event.text.encode()
            return await store.append(job_id, **fields)

    world.store = Strict(store)
    async with world.serving():
        ended = await world.ended(job)
    assert ended.stop_reason == "internal_error"


async def test_a_store_that_is_full_for_a_while_costs_no_turn(bench, say, clock):
    engine = ScriptedEngine([say.search("a"), say.answer("x")])
    world = bench(engine)
    world.store = CountingStore(world.store)
    job = await world.create()
    full = BoundaryError("disk is full", code="store_full")
    world.store.trouble = [full, full, full]

    async def over() -> bool:
        await clock.advance(0.5)
        return (await world.job(job)).status == "completed"

    async with world.serving():
        await world.until(over)
    engine.verify()
    assert (await world.types(job)).count("turn.started") == 2


async def test_a_store_that_stays_away_costs_no_job(bench, say, clock):
    """The holder lets go when its lease is over; once the store is back, the job goes on from its journal."""
    engine = ScriptedEngine([say.search("a"), say.answer("x")])
    world = bench(engine)
    world.store = CountingStore(world.store)
    job = await world.create()
    world.store.trouble = [BoundaryError("away", code="store_unreachable", transient=True)] * 25

    async def over() -> bool:
        await clock.advance(1)
        return (await world.job(job)).status == "completed"

    async with world.serving():
        await world.until(over)
    engine.verify()


async def test_a_live_turn_is_heard_as_it_is_generated(bench, say):
    text = say.answer("a long answer " * 100)
    heard: list[str] = []
    world = bench(ScriptedEngine([text]), stream="auto")
    job = await world.create()
    following = asyncio.Event()

    async def follow() -> None:
        async with world.live.follow(job.id) as deltas:
            following.set()
            async for delta in deltas:
                assert delta.offset == len("".join(heard))
                heard.append(delta.text)
                if sum(map(len, heard)) == len(text):
                    return

    listener = asyncio.create_task(follow())
    await following.wait()
    async with world.serving():
        async with asyncio.timeout(30):
            await listener
        await world.ended(job)
    assert "".join(heard) == text


async def test_ended_jobs_are_removed_when_their_time_is_over(bench, say, clock):
    from literesearcher.errors import NotFound

    world = bench(ScriptedEngine([say.answer("x")]), retention_days=1)
    job = await world.create()

    async def gone() -> bool:
        await clock.advance(1800)
        try:
            await world.job(job)
        except NotFound:
            return True
        return False

    async with world.serving():
        await world.ended(job)
        await clock.advance(7200)
        assert (await world.job(job)).status == "completed"
        await world.until(gone)
