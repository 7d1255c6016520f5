"""One question, one command: to an answer, interrupted, killed, resumed."""

from __future__ import annotations

import json
import os
import signal

import pytest

from literesearcher.testing.contracts.engine import Hang, Say
from literesearcher.testing.model_server import ModelServer

QUESTION = "Which function of the heapq module merges several sorted inputs into one sorted iterator?"
SEARCH = (
    '<think>\nlook\n</think>\n<tool_call>\n{"name": "search", "arguments": {"query": ["heapq merge"]}}\n</tool_call>'
)
ANSWER = "<think>\nfound\n</think>\n<answer>heapq.merge, says the model</answer>"


async def test_a_question_runs_to_an_answer_with_its_source_and_says_who_wrote_it(program):
    ended = await program.run("research", QUESTION)
    assert ended.code == 0, ended.err
    assert "heapq.merge" in ended.out
    assert "pydoc:heapq.merge" in ended.out
    assert "no language model wrote this" in ended.out
    assert "Completed" in ended.out
    assert "job job_" in ended.err
    assert "search" in ended.err
    assert "visit" in ended.err
    assert "turn 1" in ended.err
    assert "\x1b" not in ended.out + ended.err


async def test_json_is_the_whole_job_object_and_nothing_else(program):
    ended = await program.run("research", "--json", QUESTION)
    assert ended.code == 0, ended.err
    job = json.loads(ended.out)
    assert job["object"] == "research.job"
    assert job["status"] == "completed"
    assert job["stop_reason"] == "answer"
    assert job["input"] == QUESTION
    assert job["output"]["text"].startswith("heapq.merge")
    assert len(job["output"]["text"]) <= 300
    assert job["output"]["citations"][0]["url"] == "pydoc:heapq.merge"
    assert job["engine"]["language_model"] is False
    shown = await program.run("jobs", "show", "--json", job["id"])
    assert json.loads(shown.out) == job


async def test_a_question_from_the_environment_or_stdin_arrives_as_typed(program):
    typed = 'Which `heapq` function "merges" $HOME \'s sorted inputs?\n研究 $(id)'
    program.settings["Q"] = typed
    ended = await program.run("research", "--json", "--question-env", "Q", "--max-turns", "1")
    assert json.loads(ended.out)["input"] == typed
    ended = await program.run("research", "--json", "-", "--max-turns", "1", stdin=typed.encode())
    assert json.loads(ended.out)["input"] == typed


async def test_an_empty_question_variable_means_the_default_question(program):
    program.settings["Q"] = ""
    ended = await program.run("research", "--json", "--question-env", "Q")
    assert ended.code == 0, ended.err
    assert "heapq" in json.loads(ended.out)["input"]


async def test_what_the_corpus_cannot_answer_is_exit_code_1_and_said_plainly(program):
    ended = await program.run("research", "Who won the 1994 football world cup final in Pasadena?")
    assert ended.code == 1
    assert "no_evidence" in ended.out
    ended = await program.run("research", "--json", QUESTION, "--max-turns", "1")
    assert ended.code == 1
    assert json.loads(ended.out)["stop_reason"] == "exceed_max_turns"


async def test_ctrl_c_cancels_the_job_and_closes_the_call_to_the_model(program):
    async with ModelServer([Hang()]) as server:
        program.settings["LITERESEARCHER_ENGINE__BASE_URL"] = server.base_url
        running = await program.start("research", "--json", QUESTION)
        await running.hears("engine openai")
        while not server.bodies:
            assert running.process.returncode is None
            await _tick()
        running.signal(signal.SIGINT)
        ended = await running.ends()
        await server.closed_early.wait()
    assert ended.code == 130
    job = json.loads(ended.out)
    assert job["status"] == "cancelled"
    assert "Traceback" not in ended.err
    shown = await program.run("jobs", "list")
    assert "cancelled" in shown.out


async def test_after_kill_9_resume_goes_on_where_it_was(program):
    program.settings["LITERESEARCHER_ORCHESTRATOR__LEASE_SECONDS"] = "10"
    async with ModelServer([Say(SEARCH), Hang()]) as server:
        program.settings["LITERESEARCHER_ENGINE__BASE_URL"] = server.base_url
        running = await program.start("research", "--json", QUESTION)
        job_id = (await running.hears("job job_")).split()[1]
        while len(server.bodies) < 2:
            assert running.process.returncode is None
            await _tick()
        os.kill(running.process.pid, signal.SIGKILL)
        await running.process.wait()

        server.acts.append(Say(ANSWER))
        ended = await program.run("research", "--json", "--resume", job_id)
        assert ended.code == 0, ended.err
        assert "another process holds" in ended.err
        job = json.loads(ended.out)
        assert job["id"] == job_id
        assert job["output"]["text"] == "heapq.merge, says the model"
        assert job["attempt"] == 2
        assert job["usage"]["unknown_effects"] == 1
        # The first turn was not bought again: the third call is the second turn's, asked with the same messages.
        assert len(server.bodies) == 3
        assert server.bodies[2]["messages"] == server.bodies[1]["messages"]

        again = await program.run("research", "--json", "--resume", job_id)
        assert again.code == 0
        assert json.loads(again.out) == job


async def test_sigterm_leaves_the_job_to_be_gone_on_with(program):
    async with ModelServer([Hang()]) as server:
        program.settings["LITERESEARCHER_ENGINE__BASE_URL"] = server.base_url
        running = await program.start("research", QUESTION)
        job_id = (await running.hears("job job_")).split()[1]
        while not server.bodies:
            await _tick()
        running.signal(signal.SIGTERM)
        ended = await running.ends()
        assert ended.code == 143
        assert f"--resume {job_id}" in ended.err

        server.acts.append(Say(ANSWER))
        ended = await program.run("research", "--resume", job_id)
        assert ended.code == 0, ended.err
        assert "another process holds" not in ended.err
        assert "heapq.merge, says the model" in ended.out
        assert "no language model" not in ended.out


async def test_an_engine_that_is_down_fails_the_job_with_a_clear_word(program):
    async with ModelServer([]) as server:
        url = server.base_url
    program.settings["LITERESEARCHER_ENGINE__BASE_URL"] = url
    program.settings["LITERESEARCHER_ENGINE__TRIES"] = "1"
    ended = await program.run("research", QUESTION)
    assert ended.code == 1
    assert "server_error" in ended.out
    assert "engine_unreachable" in ended.out
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("hostile", ["\x1b]0;owned\x07\x1b[2Jdone\r\u202e"])
async def test_what_a_model_writes_cannot_act_on_the_terminal(program, hostile: str):
    async with ModelServer([Say(f"<think>{hostile}</think><answer>{hostile}</answer>")]) as server:
        program.settings["LITERESEARCHER_ENGINE__BASE_URL"] = server.base_url
        ended = await program.run("research", QUESTION)
    assert "done" in ended.out
    assert not any(mark in ended.out + ended.err for mark in ("\x1b", "\x07", "\u202e", "owned"))


async def _tick() -> None:
    import asyncio

    await asyncio.sleep(0.02)
