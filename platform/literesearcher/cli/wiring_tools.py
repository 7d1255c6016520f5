"""The tools as the settings describe them: the proxy of this process with its corpus, page extractor and providers, or
one that runs elsewhere.

Owns: which of the two, which engine reads pages, and the adapter that makes it a completer. Refuses to know: what tools
do. Closing is left to the stack that is handed in.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from literesearcher.cli.local_corpus import corpus_dir, uses_local
from literesearcher.cli.wiring_engine import engine_kind, make_engine
from literesearcher.corpus.index import LocalCorpus
from literesearcher.engine.port import Engine, EngineInfo, GenerationRequest
from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Message, Sampling
from literesearcher.research.prompts import Prompts
from literesearcher.settings.model import Settings
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.extraction import Completion, EngineExtractor, Extractor
from literesearcher.tools.pages.passage_extraction import PassageExtractor
from literesearcher.tools.port import Tools
from literesearcher.tools.service.http_client import HttpTools

DESCRIBE_SECONDS = 5.0
"""How long the start waits for the model server to say what it is; a server that is still loading may come later."""


class EngineCompleter:
    """An engine as page extraction sees it. One try a call, as the engine's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def complete(
        self,
        messages: tuple[Message, ...],
        *,
        sampling: Sampling,
        max_tokens: int,
        timeout_seconds: float,
        program: str,
    ) -> Completion:
        """One generation."""
        request = GenerationRequest(program, messages, sampling, max_tokens, purpose="extract")
        generation = await self._engine.generate(request, timeout_seconds=timeout_seconds)
        return Completion(generation.text, generation.usage)


def remote_tools(settings: Settings) -> HttpTools | None:
    """The proxy that TOOLS__URL names, None where it names none; its owner closes it."""
    return HttpTools(settings.tools.url, settings.tools.token) if settings.tools.url is not None else None


async def open_tools(
    settings: Settings,
    *,
    engine: Engine,
    prompts: Prompts,
    clock: Clock,
    stack: AsyncExitStack,
    metrics: ToolMetrics | None = None,
) -> Tools:
    """The tools. `engine` is the main one, which reads pages unless the EXTRACTOR section names another; a proxy that
    runs elsewhere has its own, and its own corpus, keys and `metrics`."""
    remote = remote_tools(settings)
    if remote is not None:
        stack.push_async_callback(remote.aclose)
        return remote
    corpus = None
    if uses_local(settings):
        corpus = LocalCorpus(corpus_dir(settings), read_only=settings.corpus.read_only)
        stack.push_async_callback(corpus.aclose)
    reader, kind = engine, settings.engine_kind
    if settings.extractor.kind is not None or settings.extractor.base_url is not None:
        reader, kind = (
            make_engine(settings.extractor, clock, models=settings.models_dir),
            engine_kind(settings.extractor),
        )
        stack.push_async_callback(reader.aclose)
    extractor: Extractor = PassageExtractor()
    if kind != "extractive":
        info = await _describe(reader)
        extractor = EngineExtractor(
            EngineCompleter(reader),
            prompts,
            clock=clock,
            model=info.model if info else "",
            context_length=info.context_length if info else None,
        )
    tools = assemble(
        settings,
        extractor=extractor,
        clock=clock,
        corpus=corpus,
        count_tokens=reader.count_tokens,
        metrics=metrics,
    )
    stack.push_async_callback(tools.aclose)
    return tools


async def _describe(engine: Engine) -> EngineInfo | None:
    """What the page reader is, None where it does not answer now: its jobs will say so, and it may come back."""
    try:
        async with asyncio.timeout(DESCRIBE_SECONDS):
            return await engine.describe()
    except (BoundaryError, TimeoutError):
        return None
