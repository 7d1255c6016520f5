"""What an engine keeps of a job between its turns goes with the job, however it ends, and not before."""

from __future__ import annotations

from literesearcher.errors import BoundaryError
from literesearcher.testing.scripted_engine import ScriptedEngine

DOWN = BoundaryError("nobody answers", code="engine_unreachable", transient=False)


class KeepingEngine(ScriptedEngine):
    """Keeps a conversation from its first turn on."""

    def __init__(self, steps, trouble=None):
        super().__init__(steps)
        self.kept: list[str] = []
        self.released: list[str] = []
        self.trouble = trouble

    async def generate(self, request, **options):
        assert request.program not in self.released
        self.kept.append(request.program)
        return await super().generate(request, **options)

    async def release(self, program):
        self.released.append(program)
        if self.trouble is not None:
            raise self.trouble


async def test_an_answered_job_is_let_go_once(bench, say):
    engine = KeepingEngine([say.search("a"), say.search("b"), say.answer("42")])
    world = bench(engine)
    job = await world.create()
    async with world.serving():
        await world.ended(job)
    assert engine.kept == [job.id] * 3
    assert engine.released == [job.id]


async def test_a_failed_job_is_let_go_too(bench, say):
    engine = KeepingEngine([say.search("a"), DOWN])
    world = bench(engine)
    job = await world.create()
    async with world.serving():
        assert (await world.ended(job)).status == "failed"
    assert engine.released == [job.id]


async def test_an_engine_that_cannot_let_go_harms_nobody(bench, say):
    engine = KeepingEngine([say.answer("1"), say.answer("2")], trouble=DOWN)
    world = bench(engine)
    first = await world.create()
    async with world.serving():
        assert (await world.ended(first)).output_text == "1"
        second = await world.create()
        assert (await world.ended(second)).output_text == "2"
    assert engine.released == [first.id, second.id]
