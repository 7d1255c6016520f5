"""Whole jobs over real SGLang in two replicas of Ray Serve: REST in, the model's own tokens, SSE out.

Every turn of a job finds all before it in the cache of the one replica that the router keeps it on.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cpu_kit.lesson import ANSWER, QUESTION, TURNS
from cpu_kit.served import Served
from literesearcher.engine.port import GenerationRequest
from literesearcher.orchestrator.model_call import packed
from literesearcher.research.messages import Message, Sampling
from literesearcher.testing.replay.programs import Followed, House, follow
from literesearcher.testing.replay.rollouts import load

TRAJECTORIES = Path(os.environ.get("LITERESEARCHER_TEST_DATA", "")) / "trajectories"
GREEDY = {"temperature": 0.0, "presence_penalty": 0.0}
ONE_GREEDY = Sampling(temperature=0.0, presence_penalty=0.0, stop=())
KEPT = {"home", "stay", "fallback"}
"""Labels of turns that were sent where the job's prefix is; `fallback`: where nobody's load was known just then."""


@pytest.fixture
async def gateway(served: Served) -> AsyncIterator[str]:
    """Its URL."""
    async with House(served.folder, served.settings) as house:
        _, base = await house.gateway()
        yield base


async def ask(session: aiohttp.ClientSession, base: str, question: str = QUESTION) -> Followed:
    async with session.post(f"{base}/v1/research", json={"input": question, "sampling": GREEDY}) as response:
        assert response.status == 202, await response.text()
        return Followed(await response.json())


def turns_of(followed: Followed) -> list[dict[str, Any]]:
    return [event["data"] for event in followed.events if event["type"] == "turn.completed"]


def check_cached(turns: list[dict[str, Any]], *, alone: bool = False) -> None:
    """One replica, and everything that it sent or said before lies in its cache, but for the last token said. `alone`:
    and nothing more, since no other job has read and said the same."""
    assert len({turn["replica"] for turn in turns}) == 1
    assert all(turn["routing"] in KEPT for turn in turns[1:]), [turn["routing"] for turn in turns]
    known = 0
    for turn in turns:
        used = turn["usage"]
        assert known - 1 <= used["cached_tokens"] < used["prompt_tokens"]
        if alone and known:
            assert used["cached_tokens"] <= known
        known = used["prompt_tokens"] + used["completion_tokens"]


async def test_from_rest_to_the_answer_in_the_models_own_tokens_while_a_listener_reads_them(
    served: Served, gateway: str
) -> None:
    heard: dict[int, str] = {}

    def note(followed: Followed) -> None:
        if followed.events[-1]["type"] == "turn.completed":
            turn = followed.events[-1]["data"]["turn"]
            heard[turn] = "".join(delta["text"] for delta in followed.deltas if delta["turn"] == turn)

    async with aiohttp.ClientSession() as session:
        got = await follow(session, gateway, await ask(session, gateway), note)
    assert (got.job["status"], got.job["stop_reason"]) == ("completed", "answer")
    assert ANSWER in got.job["output"]["text"]
    turns = turns_of(got)
    assert [turn["text"] for turn in turns] == list(TURNS)
    check_cached(turns, alone=True)
    assert turns[0]["replica"] in {one.name.rpartition("#")[2] for one in served.replicas()}
    # The first turn may have begun before anybody listened. What was heard was heard before the turn had ended, whose
    # event has the whole text and may overtake the last piece.
    for turn in (2, 3):
        assert TURNS[turn - 1].startswith(heard[turn])
        assert len(heard[turn]) > len(TURNS[turn - 1]) / 2


async def test_jobs_at_once_keep_their_own_histories_and_homes(gateway: str) -> None:
    async with aiohttp.ClientSession() as session:
        asked = [await ask(session, gateway) for _ in range(3)]
        done = await asyncio.gather(*(follow(session, gateway, one) for one in asked))
    for got in done:
        assert got.job["stop_reason"] == "answer"
        assert [turn["text"] for turn in turns_of(got)] == list(TURNS)
        check_cached(turns_of(got))


async def test_two_jobs_in_turn_each_on_its_own_replica(served: Served) -> None:
    """Turn by turn, with both in the router's hands: neither takes the other's place."""
    engine = served.engine
    homes: dict[str, str] = {}
    for number in itertools.count():
        program = f"job-{number:04d}"
        first = GenerationRequest(program, said("A beginning."), ONE_GREEDY, 1, turn=1)
        replica = (await engine.generate(first, timeout_seconds=240)).replica
        assert replica is not None
        homes.setdefault(replica, program)
        if len(homes) == 2:
            break
    messages = {program: said(f"Say something of {program}.") for program in homes.values()}
    last: dict[str, tuple[int, str]] = {}
    for turn in (2, 3, 4):
        for home, program in homes.items():
            known, replica = last.get(program, (0, None))
            request = GenerationRequest(
                program, messages[program], ONE_GREEDY, 20, turn=turn, last_replica=replica, kept_tokens=known
            )
            generation = await engine.generate(request, timeout_seconds=240)
            assert generation.replica == home
            assert generation.routing in KEPT
            used = generation.usage
            if known:
                assert known - 1 <= (used.cached_tokens or 0) <= known
            last[program] = (used.prompt_tokens + used.completion_tokens, home)
            assert generation.token_ids is not None
            spoken = Message("assistant", generation.text, opened_thought=True, token_ids=packed(generation.token_ids))
            messages[program] += (spoken, Message("user", f"And more of turn {turn}?"))
    for program in homes.values():
        await engine.release(program)


@pytest.mark.skipif(not TRAJECTORIES.is_dir(), reason="LITERESEARCHER_TEST_DATA names no folder with trajectories/")
async def test_published_rollouts_come_out_to_the_letter(served: Served) -> None:
    """Shortened, and said again by a script through the real scheduler, cache and detokenizer of the replicas."""
    engine = served.engine
    replayed = 0
    for case in load(TRAJECTORIES)[:4]:
        short = [turn for turn in case.turns if turn.response and len(turn.text) <= 800][:3]
        texts = [turn.text.removeprefix("<think>\n") for turn in short]
        scripts = served.script(case.question, texts)
        messages, known, replica = said(case.question), 0, None
        for turn, (text, script, recorded) in enumerate(zip(texts, scripts, short, strict=True), start=1):
            request = GenerationRequest(
                case.id, messages, Sampling(), 2000, turn=turn, last_replica=replica, kept_tokens=known
            )
            generation = await engine.generate(request, timeout_seconds=240)
            assert generation.text == text
            assert generation.token_ids == tuple(script[:-1])
            used = generation.usage
            if known:
                assert generation.replica == replica
                assert known - 1 <= (used.cached_tokens or 0) <= known
            known, replica = used.prompt_tokens + used.completion_tokens, generation.replica
            response = str(recorded.response)[:1500]
            spoken = Message("assistant", text, opened_thought=True, token_ids=packed(generation.token_ids))
            # The page's text is from outside: a control token in it stays text.
            messages += (spoken, Message("user", response, outside=((15, len(response)),)))
            replayed += 1
        await engine.release(case.id)
    assert replayed >= 8


def said(question: str) -> tuple[Message, ...]:
    return (Message("system", "You are a research assistant."), Message("user", question))
