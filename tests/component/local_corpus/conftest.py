"""The built-in corpus, built once a session, and the whole platform's parts around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from literesearcher.corpus.index import LocalCorpus
from literesearcher.corpus.library import Library
from literesearcher.engine.extractive import ExtractiveEngine
from literesearcher.engine.port import GenerationRequest
from literesearcher.research.commands import CallTool, End, Generate, Respond
from literesearcher.research.events import AttemptStarted, JobCreated, JobEnded, ToolCompleted, TurnCompleted
from literesearcher.research.machine import apply, decide, initial
from literesearcher.research.messages import Limits, Sampling
from literesearcher.research.prompts import Prompts
from literesearcher.settings.model import Settings
from literesearcher.timing.clock import SystemClock
from literesearcher.tools import port as tools_port
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.passage_extraction import PassageExtractor
from literesearcher.tools.port import ToolRequest

Ask = Callable[..., Awaitable[tuple[JobEnded, list[str]]]]


@pytest.fixture(scope="session")
def pydoc_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the built-in corpus; tests that write use one of their own."""
    directory = tmp_path_factory.mktemp("pydoc") / "corpus"
    Library(directory).ensure_pydoc()
    return directory


async def research(
    directory: Path, question: str, *, tenant: str = "default", **created: object
) -> tuple[JobEnded, list[str]]:
    """A job from its question to its end, through the real machine, engine, tools and corpus; and its turns."""
    engine, corpus = ExtractiveEngine(), LocalCorpus(directory)
    tools = assemble(Settings(), extractor=PassageExtractor(), clock=SystemClock(), corpus=corpus)
    info = await engine.describe()
    values = {"question_form": "bare", "at_context_limit": "answer", "limits": Limits(max_turns=15), "messages": None}
    values |= created
    events: list[object] = [
        JobCreated(
            input=question, system_prompt=Prompts.of().system, current_date="2026-01-01", profile="inference",
            sampling=Sampling(), deadline_at=1e12, **values,
        ),
        AttemptStarted("w", info.kind, info.model, info.context_length),
    ]  # fmt: skip
    state, seq, texts = initial(), 0, []
    try:
        while True:
            for event in events:
                seq += 1
                state = apply(state, event, seq=seq, at=float(seq))
            command = decide(state)
            if isinstance(command, End):
                return command.event, texts
            if isinstance(command, Generate):
                request = GenerationRequest(
                    "job",
                    command.messages,
                    command.sampling,
                    command.max_tokens,
                    turn=command.turn,
                    purpose=command.kind,
                )
                made = await engine.generate(request, timeout_seconds=30)
                texts.append(made.text)
                events = [
                    TurnCompleted(
                        command.turn, command.kind, made.text, made.finish_reason, made.usage, command.prefix_epoch,
                        made.model, command.sampling,
                    )
                ]  # fmt: skip
            elif isinstance(command, CallTool):
                result = await tools.call(
                    ToolRequest(command.name, command.arguments, tools_port.Ask(tenant_id=tenant))
                )
                events = [ToolCompleted(command.turn, command.name, command.arguments, result.text, result.items)]
            else:
                assert isinstance(command, Respond)
                events = [ToolCompleted(command.turn, command.name, {}, command.text, called=False)]
    finally:
        await tools.aclose()
        await corpus.aclose()


@pytest.fixture
async def ask(pydoc_dir: Path) -> AsyncIterator[Ask]:
    """Ask the built-in corpus."""

    async def run(question: str, **created: object) -> tuple[JobEnded, list[str]]:
        return await research(pydoc_dir, question, **created)

    return run


@pytest.fixture
def ask_in() -> Ask:
    """Ask a corpus of the test's own: `await ask_in(directory, question)`."""
    return research
