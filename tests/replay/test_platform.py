"""The whole platform over recorded rollouts: REST in, journal, orchestrator, tools, model, SSE out, each a process.

Every tool message that reaches the model is the recorded one to the byte, every call has the recorded arguments, the
next request holds the text that was served, the answer is the recorded answer; also with orchestrators killed.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from literesearcher.testing.byte_tokenizer import write_byte_tokenizer
from literesearcher.testing.replay.inversion import invert, render
from literesearcher.testing.replay.programs import Followed, House, follow, post, report
from literesearcher.testing.replay.rollouts import Case, load
from replay.expectations import check_deltas, check_job, check_replays, check_report, run_all

KILLS = 5


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stream", ["auto", "never"])
async def test_all_rollouts_at_once_in_one_process(rollouts: Path, tmp_path: Path, stream: str) -> None:
    cases = load(rollouts)
    async with House(tmp_path, {"LITERESEARCHER_ENGINE__STREAM": stream}) as house, aiohttp.ClientSession() as session:
        # A model that takes a moment, so that those who listen are there before the jobs end.
        replay = await house.replay(rollouts, "--delay", "0.05")
        program, base = await house.serve()
        followed = await run_all(session, base, cases)
        if stream == "auto":
            assert any(got.deltas for got in followed), "somebody listened, so the model's text was streamed"
        for case, got in zip(cases, followed, strict=True):
            check_job(case, got)
            if stream == "auto":
                check_deltas(case, got)
            else:
                assert not [delta for delta in got.deltas if delta.get("text") not in (None, *_whole(case))]
        check_report(await report(session, replay), cases)
        assert await program.terminate() == 0
        await check_replays(house, cases, followed)


def _whole(case: Case) -> list[str]:
    return [turn.text for turn in case.turns]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"LITERESEARCHER_RESEARCH__QUESTION_FORM": "label"}, ()),
        ({"LITERESEARCHER_RESEARCH__QUESTION_FORM": "space", "LITERESEARCHER_ENGINE__ENDPOINT": "completions"}, ()),
        ({"LITERESEARCHER_ENGINE__ENDPOINT": "completions", "LITERESEARCHER_ENGINE__OPENS_THOUGHT": "false"}, ()),
        ({}, ("--opens-thought",)),
    ],
    ids=["label", "completions opened", "completions unopened", "chat opened"],
)
async def test_one_after_another_in_every_form(
    rollouts: Path, tmp_path: Path, settings: dict[str, str], options: tuple[str, ...]
) -> None:
    cases = load(rollouts)
    async with House(tmp_path, dict(settings)) as house, aiohttp.ClientSession() as session:
        replay = await house.replay(rollouts, *options)
        _, base = await house.serve()
        for case in cases:
            got = await follow(session, base, await post(session, base, case.question))
            assert got.job["output"]["text"] == case.answer
        check_report(await report(session, replay), cases)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("opens_thought", ["true", "false"])
async def test_prompts_as_token_ids(rollouts: Path, tmp_path: Path, opens_thought: str) -> None:
    cases = load(rollouts)
    tokenizer = str(write_byte_tokenizer(tmp_path / "tokenizer.json"))
    settings = {
        "LITERESEARCHER_ENGINE__ENDPOINT": "tokens",
        "LITERESEARCHER_ENGINE__TOKENIZER_FILE": tokenizer,
        "LITERESEARCHER_ENGINE__OPENS_THOUGHT": opens_thought,
    }
    async with House(tmp_path, settings) as house, aiohttp.ClientSession() as session:
        replay = await house.replay(rollouts, "--tokenizer", tokenizer)
        _, base = await house.serve()
        followed = await run_all(session, base, cases)
        for case, got in zip(cases, followed, strict=True):
            assert got.job["output"]["text"] == case.answer
        check_report(await report(session, replay), cases)


IMPROVED: dict[str, str] = {
    "not_extracted": "Title: Replayed page",
    "too_short": "The webpage content could not be read: the page is drawn by JavaScript",
}
"""What the evidence begins with in `improved`, by what became of the page in the recording; all else is the same. The
reference of the tools lists both: passages of the page where no extraction came, and a name for what is no page."""


@pytest.mark.timeout(300)
async def test_improved_tools_differ_only_where_the_reference_says_so(tmp_path: Path) -> None:
    rollouts = Path(__file__).parent.parent / "data" / "rollouts"
    cases = load(rollouts)
    met: set[str] = set()
    settings = {"LITERESEARCHER_TOOLS__FIDELITY": "improved"}
    async with House(tmp_path, settings) as house, aiohttp.ClientSession() as session:
        await house.replay(rollouts)
        _, base = await house.serve()
        followed = await run_all(session, base, cases)
        for case, got in zip(cases, followed, strict=True):
            assert got.job["output"]["text"] == case.answer
            assert got.events[0]["data"]["tools"]["fidelity"] == "improved"
            done = [event["data"] for event in got.events if event["type"] == "tool.completed"]
            called = [turn for turn in case.turns if turn.call]
            for turn, data in zip(called, done, strict=True):
                assert turn.call is not None
                for recorded, item in zip(invert(turn.call, turn.response or ""), data["items"], strict=True):
                    kind = getattr(recorded, "kind", "search")
                    text = item["text"].removesuffix("\n\n")
                    if kind in IMPROVED:
                        met.add(kind)
                        head, _, evidence = text.partition("\n\nEvidence in page: \n")
                        assert render(recorded).startswith(head)
                        assert evidence.startswith(IMPROVED[kind])
                    else:
                        assert text == render(recorded)
        code, said = await house.ran("jobs", "replay", followed[0].job["id"])
        assert (code, said.endswith("same decisions\n")) == (0, True), said
    assert met == set(IMPROVED), "the rollouts hold both"


@pytest.mark.timeout(900)
async def test_orchestrators_killed_at_random_moments(rollouts: Path, tmp_path: Path) -> None:
    """Gateway and orchestrator apart; five lives that end in SIGKILL, then one that may end the jobs.

    The seed is in the failure's output: it names the moments, not the outcome.
    """
    cases = load(rollouts)
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    moments = random.Random(seed)
    settings = {"LITERESEARCHER_ORCHESTRATOR__LEASE_SECONDS": "1", "LITERESEARCHER_ORCHESTRATOR__POLL_SECONDS": "0.1"}
    async with House(tmp_path, settings) as house, aiohttp.ClientSession() as session:
        replay = await house.replay(rollouts, "--delay", "0.3")
        _, base = await house.gateway()
        jobs = [await post(session, base, case.question) for case in cases]
        followers = asyncio.gather(*(follow(session, base, job) for job in jobs))
        for life in range(1, KILLS + 1):
            worker = await house.orchestrator()
            await _until(lambda life=life: all(_ended(job) or _attempts(job) == life for job in jobs), followers)
            # Short enough that a job of twelve turns cannot end within five lives.
            await asyncio.sleep(moments.uniform(0.0, 0.8))
            await worker.kill()
        await house.orchestrator()
        for case, got in zip(cases, await followers, strict=True):
            check_job(case, got)
            if len(case.turns) >= 12:
                assert got.job["attempt"] == KILLS + 1, "each life but the last ended in SIGKILL"
        check_report(await report(session, replay), cases)
        for got in followers.result():
            code, said = await house.ran("jobs", "replay", got.job["id"])
            assert (code, said.endswith("same decisions\n")) == (0, True), said


def _attempts(job: Followed) -> int:
    return sum(1 for event in job.events if event["type"] == "attempt.started")


def _ended(job: Followed) -> bool:
    return bool(job.events) and job.events[-1]["type"] == "job.ended"


async def _until(condition: Any, followers: asyncio.Future[Any]) -> None:
    """Wait for the condition; a follower's own failure comes first."""
    async with asyncio.timeout(120):
        while not condition():
            if followers.done():
                followers.result()
                return
            await asyncio.sleep(0.01)
