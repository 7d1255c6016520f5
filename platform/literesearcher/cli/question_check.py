"""The shipped questions through the whole platform: engine, tools, corpus, journal, orchestrator.

Owns: running them and judging. Refuses to know: what is right (`corpus.questions`). They run on a store of their own
that is thrown away, so that a check leaves no jobs behind.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from literesearcher.cli.checks import Finding
from literesearcher.cli.narration import duration
from literesearcher.cli.session import TENANT
from literesearcher.cli.terminal_text import one_line
from literesearcher.cli.wiring import Platform, open_platform
from literesearcher.corpus.questions import Question, shipped
from literesearcher.jobs.intake import JobSpec, new_job
from literesearcher.settings.model import Settings, sqlite_url

AT_ONCE = 4


async def check_questions(settings: Settings) -> Finding:
    """How many end as they should; the first wrong ones by name."""
    questions = shipped()
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="literesearcher-"))
        store = settings.store.model_copy(update={"url": sqlite_url(Path(folder) / "jobs.sqlite3")})
        platform = await stack.enter_async_context(open_platform(settings.model_copy(update={"store": store})))
        gate = asyncio.Semaphore(AT_ONCE)
        right = await asyncio.gather(*(_is_right(platform, question, gate) for question in questions))
    wrong = [question for question, good in zip(questions, right, strict=True) if not good]
    told = f"{len(questions) - len(wrong)} of {len(questions)} as expected, in {duration(time.monotonic() - started)}"
    if not wrong:
        return Finding("questions", "ok", told)
    named = "; ".join(one_line(question.question, 80) for question in wrong[:3])
    return Finding("questions", "broken", f"{told}; wrong: {named}", "try one with `literesearcher research`")


async def _is_right(platform: Platform, question: Question, gate: asyncio.Semaphore) -> bool:
    async with gate:
        created = new_job(
            JobSpec(input=question.question),
            tenant_id=TENANT,
            research=platform.settings.research,
            prompts=platform.prompts,
            now=platform.clock.now(),
            fidelity=platform.settings.tools.fidelity,
        )
        job, _ = await platform.store.create(created)
        ended = await platform.orchestrator().run_job(job.id, tenant_id=TENANT)
        answer = ended.output_text if ended.status == "completed" else None
        return question.accepts(answer, {cited.url for cited in ended.citations})
