"""A dataset on durable jobs: results as they come, killed and gone on with, failures told apart."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from pathlib import Path

from literesearcher.testing.contracts.engine import Fail, Hang, Say
from literesearcher.testing.model_server import ModelServer

HEAPQ = "Which function of the heapq module merges several sorted inputs into one sorted iterator?"
FNMATCH = (
    "Which function of the fnmatch module constructs a list from the elements of an iterable that match a pattern?"
)


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


def results(out: Path) -> list[dict[str, object]]:
    file = out / "results.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def test_a_dataset_runs_to_results_and_a_second_run_does_nothing(program):
    out = program.home / "out"
    dataset = write(
        program.home / "d.jsonl",
        {"question": HEAPQ, "answer": "heapq.merge"},
        "this is no json\n",
        {"id": "two", "messages": [{"role": "user", "content": FNMATCH}], "answer": "fnmatch.filter"},
        {"question": ""},
    )
    ended = await program.run("batch", str(dataset), "--rollouts", "2", "--out", str(out))
    assert ended.code == 0, ended.err
    assert "2 broken lines left out" in ended.err
    assert "line 2:" in ended.err
    assert "line 4:" in ended.err
    assert "4 completed" in ended.out
    lines = results(out)
    assert Counter((line["item"], line["rollout"]) for line in lines) == Counter(
        (item, number) for item in {str(line["item"]) for line in lines} for number in (1, 2)
    )
    assert {line["answer"] for line in lines} == {"heapq.merge", "fnmatch.filter"}
    for line in lines:
        assert str(line["output"]).startswith(str(line["answer"]))
        assert line["status"] == "completed"
        assert line["stop_reason"] == "answer"
        assert line["usage"]
        assert isinstance(line["seconds"], float)
        assert line["question"] in (HEAPQ, FNMATCH)

    before = (out / "results.jsonl").read_bytes()
    again = await program.run("batch", str(dataset), "--rollouts", "2", "--out", str(out))
    assert again.code == 0
    assert (out / "results.jsonl").read_bytes() == before
    more = await program.run("batch", str(dataset), "--rollouts", "3", "--out", str(out))
    assert more.code == 0
    assert len(results(out)) == 6


async def test_killed_at_any_moment_it_goes_on_and_nothing_runs_twice(program):
    program.settings["LITERESEARCHER_ORCHESTRATOR__LEASE_SECONDS"] = "2"
    out = program.home / "out"
    dataset = write(program.home / "d.jsonl", *({"id": str(n), "question": f"question {n}"} for n in range(4)))
    # Two answers, then silence: the kill finds two rollouts finished, two begun.
    async with ModelServer([Say("<answer>a</answer>"), Say("<answer>b</answer>"), Hang(), Hang()]) as server:
        program.settings["LITERESEARCHER_ENGINE__BASE_URL"] = server.base_url
        command = ["batch", str(dataset), "--out", str(out), "--concurrency", "2"]
        running = await program.start(*command)
        while len(server.bodies) < 4 or len(results(out)) < 2:
            assert running.process.returncode is None
            await asyncio.sleep(0.02)
        running.signal(signal.SIGKILL)
        await running.process.wait()
        with (out / "results.jsonl").open("ab") as file:
            file.write(b'{"item": "torn')

        server.acts.extend([Say("<answer>c</answer>"), Say("<answer>d</answer>")])
        ended = await program.run(*command)
        assert ended.code == 0, ended.err
        assert "2 finished before" in ended.err
        assert len(server.bodies) == 6
    lines = results(out)
    assert sorted(str(line["item"]) for line in lines) == ["0", "1", "2", "3"]
    assert sorted(str(line["output"]) for line in lines) == ["a", "b", "c", "d"]
    assert len({line["job"] for line in lines}) == 4
    listed = await program.run("jobs", "list")
    assert listed.out.count("job_") == 4


async def test_failed_rollouts_are_told_apart_and_tried_again_only_when_asked(program):
    program.settings["LITERESEARCHER_ENGINE__TRIES"] = "1"
    out = program.home / "out"
    dataset = write(program.home / "d.jsonl", {"id": "good", "question": "q1"}, {"id": "bad", "question": "q2"})
    async with ModelServer([Say("<answer>a</answer>"), Fail("engine_rejected")]) as server:
        program.settings["LITERESEARCHER_ENGINE__BASE_URL"] = server.base_url
        command = ["batch", str(dataset), "--out", str(out), "--concurrency", "1"]
        ended = await program.run(*command)
        assert ended.code == 1
        assert "1 completed, 0 incomplete, 1 failed" in ended.out
        assert "--retry-failed" in ended.err
        assert results(out)[1]["error"]

        ended = await program.run(*command)
        assert ended.code == 1
        assert len(server.bodies) == 2

        server.acts.append(Say("<answer>b</answer>"))
        ended = await program.run(*command, "--retry-failed")
        assert ended.code == 0, ended.err
        assert "2 completed" in ended.out
    assert [(line["item"], line["status"]) for line in results(out)] == [
        ("good", "completed"),
        ("bad", "failed"),
        ("bad", "completed"),
    ]


async def test_ctrl_c_hands_back_and_says_how_to_go_on(program):
    out = program.home / "out"
    dataset = write(program.home / "d.jsonl", {"id": "1", "question": "q"})
    async with ModelServer([Hang()]) as server:
        program.settings["LITERESEARCHER_ENGINE__BASE_URL"] = server.base_url
        running = await program.start("batch", str(dataset), "--out", str(out))
        while not server.bodies:
            await asyncio.sleep(0.02)
        running.signal(signal.SIGINT)
        ended = await running.ends()
        assert ended.code == 130
        assert "run the same command again" in ended.err
        server.acts.append(Say("<answer>a</answer>"))
        ended = await program.run("batch", str(dataset), "--out", str(out))
    assert ended.code == 0, ended.err
    assert [line["output"] for line in results(out)] == ["a"]


async def test_a_folder_of_results_that_are_not_ours_is_refused(program):
    dataset = write(program.home / "d.jsonl", "no json\n")
    ended = await program.run("batch", str(dataset), "--out", str(program.home / "out"))
    assert ended.code == 2
    assert "no usable question" in ended.err
