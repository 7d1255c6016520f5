"""The scripted engine fails loudly when its script is not followed, also where the failure was swallowed."""

from __future__ import annotations

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.testing.contracts.engine import request
from literesearcher.testing.scripted_engine import ScriptedEngine


async def test_a_call_beyond_the_script_fails_then_and_at_the_end() -> None:
    engine = ScriptedEngine(["one"])
    await engine.generate(request(), timeout_seconds=1)
    with pytest.raises(AssertionError, match="no step left"):
        await engine.generate(request(), timeout_seconds=1)
    with pytest.raises(AssertionError, match="unexpected"):
        engine.verify()


async def test_a_step_never_asked_for_fails_at_the_end() -> None:
    with pytest.raises(AssertionError, match="unused"):
        async with ScriptedEngine({"job_1": ["one", "two"], "job_2": []}) as engine:
            await engine.generate(request("job_1"), timeout_seconds=1)


async def test_another_failure_is_not_hidden_by_the_verdict() -> None:
    with pytest.raises(KeyError):
        async with ScriptedEngine(["never asked"]):
            raise KeyError("the test's own")


async def test_scripts_by_program_errors_and_functions() -> None:
    async def answer(asked) -> str:
        return f"{asked.program} {asked.turn}"

    busy = BoundaryError("busy", code="engine_busy", transient=True)
    async with ScriptedEngine({"a": [busy, answer], "b": ["own"]}) as engine:
        assert (await engine.generate(request("b"), timeout_seconds=1)).text == "own"
        with pytest.raises(BoundaryError):
            await engine.generate(request("a"), timeout_seconds=1)
        assert (await engine.generate(request("a", turn=7), timeout_seconds=1)).text == "a 7"
        assert [one.program for one in engine.requests] == ["b", "a", "a"]
