"""The engine over SGLang in this process: prompts as token ids in, text and ids as generated out.

Owns: one generation from prompt to `Generation`, what is remembered of each conversation (its session in SGLang's
cache, its size), the load, the check. Refuses to know: Ray, jobs, retries. Above: the orchestrator through
`engine.port`, replicas through `engine.load`. Below: `runtime` (processes), `arguments`, `sampling`, `answer`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import importlib.metadata
import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from literesearcher.engine.delivery import Delivery
from literesearcher.engine.load import EngineLoad
from literesearcher.engine.port import DeltaSink, EngineInfo, Generation, GenerationRequest
from literesearcher.engine.raw_call import check_vocabulary
from literesearcher.engine.sglang.answer import generation_of
from literesearcher.engine.sglang.arguments import PINNED
from literesearcher.engine.sglang.containment import metrics_folder
from literesearcher.engine.sglang.failures import late, unreachable
from literesearcher.engine.sglang.metrics import SglangMetrics, figures
from literesearcher.engine.sglang.model import Model
from literesearcher.engine.sglang.pool import Conversations, engine_load
from literesearcher.engine.sglang.requests import last_heard, one_token, streamed, whole
from literesearcher.engine.sglang.runtime import Runtime
from literesearcher.engine.sglang.sampling import priority, sampling_params
from literesearcher.engine.sglang.start import Start
from literesearcher.engine.start_phases import PhaseSink, StartPhases
from literesearcher.engine.weights import Weights
from literesearcher.errors import ConfigurationError
from literesearcher.research.messages import Message
from literesearcher.settings.cluster_sections import SglangSection
from literesearcher.timing.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

_INLINE_CHARACTERS = 8_000
"""More new text than this is encoded in a thread."""
_OWN_TURNS = ("turn", "context_answer")
"""What is one growing conversation; anything else asked for a job is a prompt of its own."""


class SglangEngine:
    """Implements `engine.port.Engine` and `engine.load.Loaded`. SGLang starts at `start` or at the first call, and
    again at the first call after one of its processes died."""

    def __init__(
        self,
        section: SglangSection,
        *,
        weights: Weights | None = None,
        opens_thought: bool = True,
        warm_up: tuple[Message, ...] = (),
        clock: Clock | None = None,
        on_phase: PhaseSink | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        """ConfigurationError, in a sentence, for everything that can be known before the start. `weights`: where the
        checkpoint comes from, default MODEL_PATH; `warm_up`: how every conversation begins, read before the first of
        them; `on_phase` is told each phase of a start; `extra` are flags of SGLang beyond the settings."""
        clock = clock or SystemClock()
        self._section = section
        self._weights = weights or _weights_of_path(section, clock)
        require_sglang()
        self._opens_thought = opens_thought
        self._start = Start(
            section,
            self._weights,
            StartPhases(clock, on_phase),
            opens_thought=opens_thought,
            warm_up=warm_up,
            extra=tuple(extra),
        )
        self._conversations = Conversations()
        self._retracted = 0
        self._numbers = itertools.count()
        self._runtime: Runtime | None = None
        self._starting: asyncio.Task[Runtime] | None = None
        self._closed = False

    async def start(self) -> None:
        """Download the model where that is due, load it, read the beginning of every conversation: half a minute and
        more. ConfigurationError or BoundaryError (`engine_unreachable` with SGLang's words, `weights_*`) where it
        cannot be; does nothing where it runs."""
        await self._running()

    @property
    def model(self) -> Model:
        """What is served. BoundaryError `engine_unreachable` until its checkpoint is there."""
        if self._start.model is None:
            raise unreachable("it has not started")
        return self._start.model

    @property
    def start_phases(self) -> list[tuple[str, float]]:
        """(phase, seconds) of the last start: `engine.start_phases.PHASES`."""
        return list(self._start.phases.ended)

    async def describe(self) -> EngineInfo:
        """Known from settings and checkpoint; starts nothing."""
        source = self._weights.source
        own = source.model.rpartition("/")[2] if source is not None else self._weights.folder.name
        name = self._section.served_name or own
        return EngineInfo(kind="sglang", model=name, context_length=self._section.context_length)

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        """One generation; the time counts from when SGLang runs."""
        runtime = await self._running()
        model = self.model
        ids = await _ids(model, request)
        if request.raw is not None:
            check_vocabulary(request.raw, model.checkpoint.vocabulary)
            most = request.raw.new_tokens(request.max_tokens, model.context_length - len(ids))
            request = dataclasses.replace(request, max_tokens=most)
        model.check(ids, request.max_tokens)
        arguments = self.arguments(request, ids)
        session = str(arguments.get("session_id") or "")
        self._conversations.begin(session)
        size = 0
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._answer(runtime, arguments, request.sampling.stop, on_delta)
            size = len(ids) + len(answer.get("output_ids") or ())
        except TimeoutError:
            raise late(timeout_seconds) from None
        finally:
            self._conversations.end(session, size)
        self._retracted += int((answer.get("meta_info") or {}).get("num_retractions") or 0)
        return generation_of(
            answer,
            history=model.history,
            prompt_tokens=len(ids),
            model=(await self.describe()).model,
            logprobs=request.sampling.logprobs,
            opens_thought=self._opens_thought,
            tokenizer=model.tokenizer if request.raw is not None else None,
        )

    def arguments(self, request: GenerationRequest, ids: list[int]) -> dict[str, Any]:
        """What SGLang's `async_generate` is called with, but for streaming."""
        arguments: dict[str, Any] = {
            "input_ids": ids,
            "sampling_params": sampling_params(request, deterministic=self._section.deterministic),
            "rid": self._rid(),
        }
        if self._section.priority_scheduling:
            arguments["priority"] = priority(request)
        if request.sampling.logprobs:
            arguments["return_logprob"] = True
            if request.raw is not None and request.raw.top_logprobs:
                arguments["top_logprobs_num"] = request.raw.top_logprobs
        if self._section.session_cache and request.program and request.purpose in _OWN_TURNS:
            arguments["session_id"] = request.program
        return arguments

    def count_tokens(self, text: str) -> int | None:
        """By the checkpoint's own tokenizer, None until it is there."""
        return self._start.model.tokenizer.count(text) if self._start.model is not None else None

    async def load(self) -> EngineLoad:
        """From SGLang's shared-memory snapshot, with what waiting conversations hold."""
        runtime = self._runtime
        if runtime is None or not runtime.alive:
            raise unreachable("it has not started or a process of it ended")
        snapshot = (await runtime.call(lambda engine: engine.tokenizer_manager.get_loads()))[0]
        return engine_load(snapshot, held=self._conversations.held, retracted=self._retracted)

    async def release(self, program: str) -> None:
        """Close the conversation's session: its part of the cache may be evicted like any other."""
        if not self._conversations.forget(program) or self._runtime is None or not self._runtime.alive:
            return
        closing = importlib.import_module("sglang.srt.managers.io_struct").CloseSessionReqInput
        await self._runtime.call(
            lambda engine: engine.tokenizer_manager.close_session(closing(session_id=program), None)
        )

    async def check(self) -> None:
        """One token within HEALTH_SECONDS. A runtime so full that the check cannot be placed, but from which tokens
        came meanwhile, is well. The first check starts it, so that a replica is ready when its model is loaded; one
        whose SGLang died stays unwell, to be replaced."""
        runtime = self._runtime or await self._running()
        if not runtime.alive:
            raise unreachable("a process of it ended")
        before = await runtime.call(last_heard)
        probe = one_token(self._section, self.model.probe, self._rid())
        try:
            async with asyncio.timeout(self._section.health_seconds):
                await self._answer(runtime, probe, (), None)
        except TimeoutError:
            if await runtime.call(last_heard) <= before:
                raise late(self._section.health_seconds) from None

    async def aclose(self) -> None:
        """End SGLang and its processes, also while they start. Safe to call twice."""
        self._closed = True
        starting = self._starting
        if starting is not None and not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            await asyncio.to_thread(runtime.stop)

    @property
    def collector(self) -> SglangMetrics:
        """SGLang's metric families, to be registered once."""
        return SglangMetrics(lambda: metrics_folder() if self._section.metrics and self.process_ids else None)

    def figures(self) -> dict[str, float]:
        """Of SGLang's families, for a process whose metrics leave by another way. Blocks for some 30 ms."""
        return figures(self.collector.collect())

    @property
    def process_ids(self) -> list[int]:
        """SGLang's processes, none where it does not run."""
        return self._runtime.process_ids if self._runtime is not None and self._runtime.alive else []

    async def _running(self) -> Runtime:
        runtime = self._runtime
        if runtime is not None and runtime.alive:
            return runtime
        if self._closed:
            raise unreachable("it was stopped")
        starting = self._starting
        if starting is None or starting.done():
            starting = self._starting = asyncio.create_task(self._started())
            # Whoever asked for it may be gone when it fails.
            starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Others wait for it too: one caller that gives up ends nothing.
        await asyncio.wait([starting])
        if starting.cancelled():
            raise unreachable("it was stopped")
        return starting.result()

    async def _started(self) -> Runtime:
        old, self._runtime = self._runtime, None
        if old is not None:
            await asyncio.to_thread(old.stop)
        runtime = await self._start.run()
        self._conversations = Conversations()
        self._runtime = runtime
        return runtime

    def _rid(self) -> str:
        # SGLang aborts by prefix, so no id may be the beginning of another.
        return f"{next(self._numbers):016x}"

    async def _answer(
        self, runtime: Runtime, arguments: dict[str, Any], stop: tuple[str, ...], on_delta: DeltaSink | None
    ) -> dict[str, Any]:
        """SGLang's last word on a request."""
        if on_delta is None:
            return await runtime.call(lambda engine: whole(engine, arguments))
        delivery = Delivery(on_delta, stop)
        return await delivery.follow(runtime.call(lambda engine: streamed(engine, arguments, delivery)))


async def _ids(model: Model, request: GenerationRequest) -> list[int]:
    history = model.history
    if request.raw is not None and request.raw.prompt is not None:
        return await model.raw_prompts.ids(request.raw.prompt)
    program = request.program if request.purpose in _OWN_TURNS else ""
    if history.new_characters(request.messages, program) > _INLINE_CHARACTERS:
        return await asyncio.to_thread(history.prompt, request.messages, program=program)
    return history.prompt(request.messages, program=program)


def _weights_of_path(section: SglangSection, clock: Clock) -> Weights:
    if section.model_path is None:
        raise ConfigurationError(
            "ENGINE__KIND=sglang needs LITERESEARCHER_SGLANG__MODEL_PATH, the folder of a checkpoint"
        )
    return Weights(Path(section.model_path), None, sha256=section.model_sha256, clock=clock)


def require_sglang() -> None:
    """ConfigurationError where SGLang is missing here, or is not the version that this was written against."""
    try:
        found = importlib.metadata.version("sglang")
    except importlib.metadata.PackageNotFoundError:
        raise ConfigurationError(
            "ENGINE__KIND=sglang needs SGLang, which is not installed here: pip install 'literesearcher[sglang]'"
        ) from None
    if found != PINNED:
        raise ConfigurationError(
            f"ENGINE__KIND=sglang needs SGLang {PINNED}, and {found} is installed: pip install 'sglang=={PINNED}'"
        )
