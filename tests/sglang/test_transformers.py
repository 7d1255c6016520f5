"""The taught job by the engine over Transformers: the same weights and tokens that SGLang is tested with."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cpu_kit.lesson import ANSWER, QUESTION, TURNS
from literesearcher.cli.local_corpus import prepare_corpus
from literesearcher.cli.session import TENANT
from literesearcher.cli.wiring import open_platform
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.research.events import TurnCompleted
from literesearcher.settings.model import Settings
from literesearcher.settings.sections import EngineSection


async def test_the_whole_job_with_its_own_tokens_kept_and_found_in_the_cache(taught_model: Path, tmp_path: Path):
    settings = Settings(
        data_dir=tmp_path,
        engine=EngineSection(kind="transformers", model=str(taught_model)),
        extractor=EngineSection(kind="extractive"),
    )
    await asyncio.to_thread(prepare_corpus, settings)
    async with open_platform(settings) as platform:
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
        turns = [one.event for one in await platform.store.read(job.id) if isinstance(one.event, TurnCompleted)]
    assert (ended.stop_reason, ended.output_text) == ("answer", ANSWER)
    assert tuple(turn.text for turn in turns) == TURNS
    known = 0
    for turn in turns:
        assert turn.token_ids is not None
        assert turn.usage.cached_tokens is not None
        # All that was read and written before, but for the token whose end is the stop.
        assert turn.usage.cached_tokens in (known, max(0, known - 1))
        known = turn.usage.prompt_tokens + turn.usage.completion_tokens - 1
