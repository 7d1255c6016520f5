"""A whole research job in the model's own tokens over the built-in corpus, from REST to the answer."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

from cpu_kit.lesson import ANSWER, QUESTION, TURNS
from cpu_kit.scripted import ScriptedSglang
from cpu_kit.tiny_model import END
from literesearcher.cli.local_corpus import prepare_corpus
from literesearcher.cli.session import TENANT
from literesearcher.cli.wiring import Platform, open_platform
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.settings.model import Settings
from process_tree import children as children_of

GREEDY = {"temperature": 0.0, "presence_penalty": 0.0}
PATIENCE = 300


async def run_job(platform: Platform, sampling: dict[str, Any], **spec: Any) -> Any:
    made = new_job(
        JobSpec(input=QUESTION, sampling=sampling, **spec),
        tenant_id=TENANT,
        research=platform.settings.research,
        prompts=platform.prompts,
        now=platform.clock.now(),
        fidelity=platform.settings.tools.fidelity,
    )
    job, _ = await platform.store.create(made)
    return await platform.orchestrator().run_job(job.id, tenant_id=TENANT)


class Watched:
    """An engine whose generations are kept, in order."""

    def __init__(self, engine: ScriptedSglang) -> None:
        self._engine = engine
        self.seen: list[tuple[GenerationRequest, Generation]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def generate(self, request: GenerationRequest, **how: Any) -> Generation:
        generation = await self._engine.generate(request, **how)
        self.seen.append((request, generation))
        return generation


async def test_the_job_ends_in_its_answer_and_each_turn_finds_all_before_it_cached(
    taught: ScriptedSglang, tmp_path: Path
):
    settings = Settings(data_dir=tmp_path)
    await asyncio.to_thread(prepare_corpus, settings)
    watched = Watched(taught)
    async with open_platform(settings) as platform:
        ended = await run_job(dataclasses.replace(platform, engine=watched), GREEDY)
        assert ended.stop_reason == "answer"
    assert [generation.text for _, generation in watched.seen] == list(TURNS)
    known = 0
    for _, generation in watched.seen:
        assert generation.finish_reason == "stop"
        assert generation.usage.cached_tokens is not None
        # The last token of a turn was said but never read.
        assert generation.usage.cached_tokens >= known - 1
        assert generation.usage.cached_tokens < generation.usage.prompt_tokens
        known = generation.usage.prompt_tokens + generation.usage.completion_tokens
        assert generation.token_ids is not None
        assert generation.usage.completion_tokens == len(generation.token_ids) + 1
    await taught.release(watched.seen[0][0].program)


async def test_two_jobs_at_once_keep_their_own_histories(taught: ScriptedSglang, tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    await asyncio.to_thread(prepare_corpus, settings)
    watched = Watched(taught)
    async with open_platform(settings) as platform:
        both = dataclasses.replace(platform, engine=watched)
        ended = await asyncio.gather(run_job(both, GREEDY), run_job(both, GREEDY))
        assert [job.stop_reason for job in ended] == ["answer", "answer"]
    assert len({request.program for request, _ in watched.seen}) == 2
    for program in {request.program for request, _ in watched.seen}:
        assert [generation.text for request, generation in watched.seen if request.program == program] == list(TURNS)
        await taught.release(program)


SUBJECTS = ("heapq merge", "bisect insort", "itertools chain", "collections deque", "functools reduce", "json dumps")


class Noting:
    """The script of a job that searches until its context is full, notes each step, and answers two turns later."""

    def __init__(self, engine: ScriptedSglang) -> None:
        self._history = engine.model.history
        self.said: list[str] = []
        self.searches = self.notes = 0
        self.later = 0

    def __call__(self, request: GenerationRequest) -> list[int]:
        if request.purpose == "compress":
            self.notes += 1
            text = f"This is step {self.notes}.\n</think>\nStep {self.notes} found a page of the Python library."
        elif self.later == 2:
            text = f"I know enough.\n</think>\n<answer>\n{ANSWER}\n</answer>"
        else:
            self.later += self.notes > 0
            asked = json.dumps({"name": "search", "arguments": {"query": [SUBJECTS[self.searches % len(SUBJECTS)]]}})
            self.searches += 1
            text = f"I search for number {self.searches}.\n</think>\n<tool_call>\n{asked}\n</tool_call>"
        self.said.append(text)
        return [*self._history._written(text), END]


async def test_a_job_whose_context_is_full_goes_on_from_its_notes_and_each_epoch_finds_its_own_cache(
    taught: ScriptedSglang, tmp_path: Path
):
    settings = Settings(data_dir=tmp_path)
    await asyncio.to_thread(prepare_corpus, settings)
    watched, script = Watched(taught), Noting(taught)
    taught.script = script
    async with open_platform(settings) as platform:
        full = {"at_context_limit": "compress", "limits": {"context_length": 5120}}
        ended = await run_job(dataclasses.replace(platform, engine=watched), GREEDY, **full)
        assert (ended.stop_reason, ended.output_text) == ("answer", ANSWER)
    assert [generation.text for _, generation in watched.seen] == script.said
    turns = [(request, one) for request, one in watched.seen if request.purpose == "turn"]
    notes = [request for request, _ in watched.seen if request.purpose == "compress"]
    assert script.notes == len(notes) >= 2
    assert len({request.prefix_epoch for request, _ in turns}) == 2
    known, epoch = 0, turns[0][0].prefix_epoch
    for request, generation in turns:
        used = generation.usage
        if request.prefix_epoch != epoch:
            # What is left of before: the prompt of all jobs and the question.
            epoch, known = request.prefix_epoch, taught.count_tokens(request.messages[0].content) or 0
        assert used.cached_tokens is not None
        assert known - 1 <= used.cached_tokens < used.prompt_tokens
        known = used.prompt_tokens + used.completion_tokens
    assert "Step 1 found a page" in turns[-1][0].messages[1].content
    await taught.release(turns[0][0].program)


def _ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return json.loads(answer.read())


async def test_from_rest_to_the_answer_in_the_program_as_it_is_served(taught_model: Path, tmp_path: Path, one_runtime):
    for name in list(one_runtime):
        await one_runtime.pop(name).aclose()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LITERESEARCHER_")}
    environ |= {
        "HOME": str(tmp_path),
        "LITERESEARCHER_DATA_DIR": str(tmp_path / "data"),
        "LITERESEARCHER_ENGINE__KIND": "sglang",
        "LITERESEARCHER_EXTRACTOR__KIND": "extractive",
        "LITERESEARCHER_SGLANG__MODEL_PATH": str(taught_model),
        "LITERESEARCHER_SGLANG__DEVICE": "cpu",
        "LITERESEARCHER_SGLANG__WEIGHTS": "fp32",
        "LITERESEARCHER_SGLANG__CONTEXT_LENGTH": "16384",
    }
    command = [sys.executable, "-m", "literesearcher.cli.main", "serve", "--port", "0"]
    log = tmp_path / "serve.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(*command, env=environ, stderr=stderr, cwd=tmp_path)
    try:
        async with asyncio.timeout(PATIENCE):
            while "listening on " not in log.read_text(errors="replace"):
                assert process.returncode is None, log.read_text(errors="replace")
                await asyncio.sleep(0.2)
            # It takes requests when the model is there and warm.
            said = log.read_text(errors="replace")
            assert said.index("loading the model") < said.index("listening on ")
            children = children_of(process.pid)
            assert len(children) >= 2
            address = log.read_text(errors="replace").split("listening on ")[1].split()[0]
            job = await asyncio.to_thread(_ask, f"{address}/v1/research", {"input": QUESTION, "sampling": GREEDY})
            while job["status"] not in ("completed", "incomplete", "failed"):
                await asyncio.sleep(0.2)
                job = await asyncio.to_thread(_ask, address + job["links"]["self"])
        assert job["status"] == "completed", job
        assert ANSWER in job["output"]["text"]
        assert job["engine"]["language_model"] is True
        events = await asyncio.to_thread(_ask, address + job["links"]["events"])
        assert TURNS[0][:40] in json.dumps(events, ensure_ascii=False)
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(120):
            code = await process.wait()
    assert code == 0, log.read_text(errors="replace")
    assert "Traceback" not in log.read_text(errors="replace")
    async with asyncio.timeout(30):
        while any(Path(f"/proc/{child}").exists() for child in children):
            await asyncio.sleep(0.1)
