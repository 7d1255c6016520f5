"""Turns of published rollouts, shortened, said again by a script through the real scheduler, cache and detokenizer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cpu_kit.scripted import ScriptedSglang
from cpu_kit.tiny_model import END
from literesearcher.engine.port import GenerationRequest
from literesearcher.orchestrator.model_call import packed
from literesearcher.research.messages import Message, Sampling
from literesearcher.testing.replay.rollouts import Case, load

TRAJECTORIES = Path(os.environ.get("LITERESEARCHER_TEST_DATA", "")) / "trajectories"
TURNS, CHARACTERS, READ = 4, 1200, 1500


def shortened(case: Case) -> list[tuple[str, str]]:
    """Text and tool message of its first short turns."""
    short = [turn for turn in case.turns if turn.response and len(turn.text) <= CHARACTERS]
    return [(turn.text, str(turn.response)[:READ]) for turn in short[:TURNS]]


@pytest.mark.skipif(not TRAJECTORIES.is_dir(), reason="LITERESEARCHER_TEST_DATA names no folder with trajectories/")
async def test_each_turn_comes_out_to_the_letter_and_finds_all_before_it_cached(taught: ScriptedSglang):
    replayed = 0
    for case in load(TRAJECTORIES):
        messages = [Message("system", "You are a research assistant."), Message("user", case.question)]
        known = 0
        for turn, (text, response) in enumerate(shortened(case), start=1):
            wanted = text.removeprefix("<think>\n")
            script = [*taught.model.history._written(wanted), END]
            taught.script = lambda request, script=script: script
            request = GenerationRequest(case.id, tuple(messages), Sampling(), 2000, turn=turn)
            generation = await taught.generate(request, timeout_seconds=240)
            assert generation.text == wanted
            assert generation.finish_reason == "stop"
            assert generation.token_ids == tuple(script[:-1])
            assert generation.usage.cached_tokens is not None
            assert generation.usage.cached_tokens >= known - 1
            known = generation.usage.prompt_tokens + len(script)
            said = Message("assistant", generation.text, opened_thought=True, token_ids=packed(generation.token_ids))
            # The page's text is from outside: a control token in it stays text.
            messages += [said, Message("user", response, outside=((15, len(response)),))]
            replayed += 1
        await taught.release(case.id)
    assert replayed >= 12
