"""The engine port's contract: what every model backend does, whatever stands behind it.

A test subclasses `EngineContract` and gives `prepare`, which makes an engine whose backend will act out the given acts,
one a call, in order. Happy, empty, cut, concurrent, cancelled, late, failing in each way, closed twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from literesearcher.engine.port import Engine, GenerationRequest
from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Message, Sampling


@dataclass(frozen=True, slots=True)
class Say:
    """The backend generates this text."""

    text: str
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True)
class Fail:
    """The backend fails in the way that the port calls `code`; a busy one asks to wait `retry_after` seconds."""

    code: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Hang:
    """The backend takes the call and never answers."""


Act = Say | Fail | Hang

TRANSIENT = {
    "engine_unreachable": True,
    "engine_timeout": True,
    "engine_busy": True,
    "engine_error": True,
    "engine_garbage": True,
    "engine_rejected": False,
    "engine_unauthorized": False,
    "prompt_too_long": False,
}
"""Every failure of the port, and whether another try may help."""

SYSTEM, QUESTION = Message("system", "You are a researcher."), Message("user", "Who? 谁 \u202f\u00e9")


def request(program: str = "job_1", **changes: object) -> GenerationRequest:
    """A plain first turn."""
    fields: dict[str, object] = {"sampling": Sampling(), "max_tokens": 64, "turn": 1, **changes}
    return GenerationRequest(program=program, messages=(SYSTEM, QUESTION), **fields)  # type: ignore[arg-type]


class EngineContract:
    """Subclass it; override `prepare`."""

    async def prepare(self, *acts: Act) -> Engine:
        """An engine whose backend does these, one a call. The subclass closes it."""
        raise NotImplementedError

    async def test_text_comes_back_as_generated(self) -> None:
        text = "<think>\n  两个 \u201cquotes\u201d\t\n</think>\n<answer>\nyes \U0001f600 </answer>\n"
        engine = await self.prepare(Say(text))
        generation = await engine.generate(request(), timeout_seconds=20)
        assert generation.text == text
        assert generation.finish_reason == "stop"
        assert generation.usage.prompt_tokens > 0
        assert generation.usage.completion_tokens > 0
        assert generation.model == (await engine.describe()).model

    async def test_an_empty_turn_is_a_turn(self) -> None:
        engine = await self.prepare(Say(""))
        assert (await engine.generate(request(), timeout_seconds=20)).text == ""

    async def test_a_turn_cut_by_length_says_so(self) -> None:
        engine = await self.prepare(Say("<think>\nand then", finish_reason="length"))
        generation = await engine.generate(request(), timeout_seconds=20)
        assert (generation.text, generation.finish_reason) == ("<think>\nand then", "length")

    async def test_deltas_join_to_the_text(self) -> None:
        text = "<think>\nfirst, 然后 \U0001f600\n\n</think>\n<tool_call>\n{}\n</tool_call>"
        engine = await self.prepare(Say(text), Say(""))
        heard: list[str] = []

        async def hear(piece: str) -> None:
            heard.append(piece)

        generation = await engine.generate(request(), timeout_seconds=20, on_delta=hear)
        assert generation.text == text
        assert "".join(heard) == text
        assert generation.usage.completion_tokens > 0
        assert (await engine.generate(request(), timeout_seconds=20, on_delta=hear)).text == ""
        assert "".join(heard) == text

    @pytest.mark.parametrize("listened", [False, True], ids=["whole", "streamed"])
    @pytest.mark.parametrize("code", [code for code in TRANSIENT if code != "engine_timeout"])
    async def test_each_failure_is_attributed_and_the_next_call_works(self, code: str, listened: bool) -> None:
        engine = await self.prepare(Fail(code), Say("again"))

        async def hear(piece: str) -> None:
            return None

        with pytest.raises(BoundaryError) as caught:
            await engine.generate(request(), timeout_seconds=20, on_delta=hear if listened else None)
        assert caught.value.code == code
        assert caught.value.transient is TRANSIENT[code]
        assert isinstance(caught.value, PromptTooLong) is (code == "prompt_too_long")
        assert (await engine.generate(request(), timeout_seconds=20)).text == "again"

    async def test_a_busy_server_says_when_to_come_back(self) -> None:
        engine = await self.prepare(Fail("engine_busy", retry_after=7))
        with pytest.raises(BoundaryError) as caught:
            await engine.generate(request(), timeout_seconds=20)
        assert caught.value.retry_after == 7

    async def test_a_late_answer_is_a_timeout(self) -> None:
        engine = await self.prepare(Hang(), Say("next"))
        with pytest.raises(BoundaryError) as caught:
            await engine.generate(request(), timeout_seconds=0.2)
        assert (caught.value.code, caught.value.transient) == ("engine_timeout", True)
        assert (await engine.generate(request(), timeout_seconds=20)).text == "next"

    async def test_cancelling_ends_the_call_at_once(self) -> None:
        engine = await self.prepare(Hang(), Say("next"))
        call = asyncio.create_task(engine.generate(request(), timeout_seconds=3600))
        await asyncio.sleep(0.1)
        assert not call.done()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, 10)
        assert (await engine.generate(request(), timeout_seconds=20)).text == "next"

    async def test_many_calls_at_once_keep_apart(self) -> None:
        texts = [f"answer {number}" for number in range(40)]
        engine = await self.prepare(*(Say(text) for text in texts))
        programs = [f"job_{number}" for number in range(40)]
        got = await asyncio.gather(*(engine.generate(request(one), timeout_seconds=30) for one in programs))
        assert sorted(one.text for one in got) == sorted(texts)

    async def test_describe_is_remembered_and_closing_twice_is_safe(self) -> None:
        engine = await self.prepare()
        first = await engine.describe()
        assert first.model
        assert first.context_length > 0
        assert await engine.describe() == first
        await engine.aclose()
        await engine.aclose()
