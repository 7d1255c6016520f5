"""Starts of real SGLang: given up, asked for twice, warmed up, measured, killed with the process that holds them."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from cpu_kit.lesson import ANSWER, QUESTION
from literesearcher.cli.local_corpus import prepare_corpus
from literesearcher.cli.session import TENANT
from literesearcher.cli.wiring import open_platform
from literesearcher.engine.sglang.engine import SglangEngine
from literesearcher.errors import BoundaryError
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.research.events import TurnCompleted
from literesearcher.research.messages import Message
from literesearcher.research.prompts import with_date
from literesearcher.settings.cluster_sections import SglangSection
from literesearcher.settings.model import Settings
from literesearcher.settings.sections import EngineSection
from literesearcher.telemetry.tool_metrics import ToolMetrics

HOLDER = """
import asyncio, json, sys
from literesearcher.engine.sglang.engine import SglangEngine
from literesearcher.settings.cluster_sections import SglangSection

async def hold():
    engine = SglangEngine(SglangSection(device="cpu", weights="fp32", model_path=sys.argv[1], context_length=4096))
    await engine.start()
    print("HELD" + json.dumps(engine.process_ids), flush=True)
    await asyncio.sleep(3600)

if __name__ == "__main__":
    asyncio.run(hold())
"""


def section(model: Path) -> SglangSection:
    return SglangSection(device="cpu", weights="fp32", model_path=str(model), context_length=4096)


def alive(processes: list[int]) -> list[int]:
    return [process for process in processes if Path(f"/proc/{process}").exists()]


@pytest.fixture
async def nothing_runs(one_runtime) -> None:
    for name in list(one_runtime):
        await one_runtime.pop(name).aclose()


async def children(at_least: int) -> list[int]:
    async with asyncio.timeout(240):
        while len(multiprocessing.active_children()) < at_least:
            await asyncio.sleep(0.01)
    return [int(child.pid or 0) for child in multiprocessing.active_children()]


@pytest.mark.parametrize("processes", [0, 1, 2])
async def test_closing_while_it_loads_ends_the_load_and_leaves_no_process(
    nothing_runs: None, random_model: Path, processes: int
):
    engine = SglangEngine(section(random_model))
    going = [asyncio.create_task(engine.start()) for _ in range(2)]
    await asyncio.sleep(0)
    begun = await children(processes)
    await engine.aclose()
    for task in going:
        with pytest.raises(BoundaryError, match="it was stopped") as caught:
            await task
        assert caught.value.code == "engine_unreachable"
    assert alive(begun) == []
    assert multiprocessing.active_children() == []
    assert engine.start_phases == []
    with pytest.raises(BoundaryError, match="it was stopped"):
        await engine.start()


async def test_who_gives_a_start_up_ends_it_for_nobody_else(nothing_runs: None, random_model: Path):
    engine = SglangEngine(section(random_model))
    try:
        impatient = asyncio.create_task(engine.start())
        begun = await children(1)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        await engine.start()
        assert set(begun) <= set(engine.process_ids)
        assert [phase for phase, _ in engine.start_phases] == ["load"]
    finally:
        await engine.aclose()


async def test_the_first_turn_of_the_first_job_finds_the_prompt_of_all_jobs_cached(
    nothing_runs: None, taught_model: Path, tmp_path: Path
):
    settings = Settings(
        data_dir=tmp_path,
        engine=EngineSection(kind="sglang"),
        extractor=EngineSection(kind="extractive"),
        sglang=section(taught_model).model_copy(update={"context_length": 16_384}),
    )
    await asyncio.to_thread(prepare_corpus, settings)
    metrics = ToolMetrics()
    async with open_platform(settings, metrics=metrics) as platform:
        engine = platform.engine
        assert isinstance(engine, SglangEngine)
        await engine.start()
        made = new_job(
            JobSpec(input=QUESTION, sampling={"temperature": 0.0, "presence_penalty": 0.0}),
            tenant_id=TENANT,
            research=settings.research,
            prompts=platform.prompts,
            now=platform.clock.now(),
            fidelity=settings.tools.fidelity,
        )
        job, _ = await platform.store.create(made)
        ended = await platform.orchestrator().run_job(job.id, tenant_id=TENANT)
        assert ended.output_text == ANSWER
        turns = [one.event for one in await platform.store.read(job.id) if isinstance(one.event, TurnCompleted)]
        today = platform.clock.now().date().isoformat()
        system = Message("system", with_date(platform.prompts.system, today))
        shared = engine.model.history.prompt((system,))
        first = engine.model.history.prompt((system, Message("user", QUESTION)))
        common = next(at for at, (one, other) in enumerate(zip(shared, first, strict=False)) if one != other)
        assert common > 200
        assert turns[0].usage.cached_tokens == common
        assert [phase for phase, _ in engine.start_phases] == ["load", "warm_up"]
    told = generate_latest(metrics.registry).decode()
    for phase in ("load", "warm_up"):
        assert f'literesearcher_engine_start_seconds_count{{phase="{phase}"}} 1.0' in told


async def test_killing_the_process_that_holds_it_leaves_none_of_its_processes(
    nothing_runs: None, random_model: Path, tmp_path: Path
):
    script = tmp_path / "holder.py"
    script.write_text(HOLDER)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script), str(random_model)), stdout=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    try:
        assert process.stdout is not None
        held: list[int] = []
        async with asyncio.timeout(300):
            async for line in process.stdout:
                if line.startswith(b"HELD"):
                    held = json.loads(line[4:])
                    break
        assert len(alive(held)) == 2
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    async with asyncio.timeout(60):
        while alive(held):
            await asyncio.sleep(0.05)
