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
from literesearcher.cli.local_corpus import prepare_corpus
from literesearcher.cli.session import TENANT
from literesearcher.cli.wiring import Platform, open_platform
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.settings.model import Settings

GREEDY = {"temperature": 0.0, "presence_penalty": 0.0}
PATIENCE = 300


async def run_job(platform: Platform, sampling: dict[str, Any] | None = None) -> Any:
    made = new_job(
        JobSpec(input=QUESTION, sampling=sampling or {}),
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
        children = _children(process.pid)
        assert len(children) >= 2
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(120):
            code = await process.wait()
    assert code == 0, log.read_text(errors="replace")
    assert "Traceback" not in log.read_text(errors="replace")
    async with asyncio.timeout(30):
        while any(Path(f"/proc/{child}").exists() for child in children):
            await asyncio.sleep(0.1)


def _children(parent: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(status.parent.name))
    return found
