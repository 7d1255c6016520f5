"""The engine over SGLang in this process: prompts as token ids in, text and ids as generated out.

Owns: one generation from prompt to `Generation`, what is remembered of each conversation (its session in SGLang's
cache, its size), the load, the check. Refuses to know: Ray, jobs, retries. Above: the orchestrator through
`engine.port`, replicas through `engine.load`. Below: `runtime` (processes), `arguments`, `sampling`, `answer`.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from literesearcher.engine.load import EngineLoad
from literesearcher.engine.port import DeltaSink, EngineInfo, Generation, GenerationRequest
from literesearcher.engine.sglang.answer import Delivery, generation_of
from literesearcher.engine.sglang.arguments import PINNED, environment, server_arguments
from literesearcher.engine.sglang.checkpoint import check_context, check_parallel, check_sum, read_checkpoint
from literesearcher.engine.sglang.containment import metrics_folder
from literesearcher.engine.sglang.failures import late, refusals, refused, unreachable
from literesearcher.engine.sglang.metrics import SglangMetrics
from literesearcher.engine.sglang.pool import Conversations, engine_load
from literesearcher.engine.sglang.runtime import Runtime
from literesearcher.engine.sglang.sampling import HEALTH_PRIORITY, priority, sampling_params
from literesearcher.engine.token_history import TokenHistory
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import ConfigurationError, PromptTooLong
from literesearcher.settings.cluster_sections import SglangSection

logger = logging.getLogger(__name__)

_INLINE_CHARACTERS = 8_000
"""More new text than this is encoded in a thread."""
_OWN_TURNS = ("turn", "context_answer")
"""What is one growing conversation; anything else asked for a job is a prompt of its own."""


class SglangEngine:
    """Implements `engine.port.Engine` and `engine.load.Loaded`. SGLang starts at `start` or at the first call, and
    again at the first call after one of its processes died."""

    def __init__(self, section: SglangSection, *, opens_thought: bool = True, extra: Sequence[str] = ()) -> None:
        """ConfigurationError, in a sentence, for everything that can be known before the start. `extra` are flags of
        SGLang beyond the settings."""
        if section.model_path is None:
            raise ConfigurationError(
                "ENGINE__KIND=sglang needs LITERESEARCHER_SGLANG__MODEL_PATH, the folder of a checkpoint"
            )
        require_sglang()
        self._section = section
        self._checkpoint = read_checkpoint(Path(section.model_path), weights=section.load_format == "auto")
        check_parallel(self._checkpoint, section.tensor_parallel)
        check_context(self._checkpoint, section.context_length)
        self._arguments = [*server_arguments(section, section.model_path), *extra]
        self._tokenizer = Tokenizer.from_file(self._checkpoint.tokenizer_file)
        self._history = TokenHistory(self._tokenizer, opens_thought=opens_thought)
        self._opens_thought = opens_thought
        self._health_id = self._tokenizer.token("<|im_start|>") or 0
        self._conversations = Conversations()
        self._retracted = 0
        self._numbers = itertools.count()
        self._runtime: Runtime | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    async def start(self) -> None:
        """Load the model: half a minute and more. ConfigurationError or BoundaryError `engine_unreachable` with
        SGLang's words where it cannot be; does nothing where it runs."""
        await self._running()

    async def describe(self) -> EngineInfo:
        """Known from settings and checkpoint; starts nothing."""
        name = self._section.served_name or self._checkpoint.name
        return EngineInfo(kind="sglang", model=name, context_length=self._section.context_length)

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        """One generation; the time counts from when SGLang runs."""
        runtime = await self._running()
        ids = await self._ids(request)
        self._check(ids, request.max_tokens)
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
            history=self._history,
            prompt_tokens=len(ids),
            model=(await self.describe()).model,
            logprobs=request.sampling.logprobs,
            opens_thought=self._opens_thought,
        )

    def arguments(self, request: GenerationRequest, ids: list[int]) -> dict[str, Any]:
        """What SGLang's `async_generate` is called with, but for streaming."""
        arguments: dict[str, Any] = {
            "input_ids": ids,
            "sampling_params": sampling_params(request),
            # SGLang aborts by prefix, so no id may be the beginning of another.
            "rid": f"{next(self._numbers):016x}",
        }
        if self._section.priority_scheduling:
            arguments["priority"] = priority(request)
        if request.sampling.logprobs:
            arguments["return_logprob"] = True
        if self._section.session_cache and request.program and request.purpose in _OWN_TURNS:
            arguments["session_id"] = request.program
        return arguments

    def count_tokens(self, text: str) -> int | None:
        """By the checkpoint's own tokenizer."""
        return self._tokenizer.count(text)

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
        before = await runtime.call(_last_heard)
        probe: dict[str, Any] = {
            "input_ids": [self._health_id],
            "sampling_params": {"max_new_tokens": 1, "temperature": 0.0},
            "rid": f"{next(self._numbers):016x}",
        }
        if self._section.priority_scheduling:
            probe["priority"] = HEALTH_PRIORITY
        try:
            async with asyncio.timeout(self._section.health_seconds):
                await self._answer(runtime, probe, (), None)
        except TimeoutError:
            if await runtime.call(_last_heard) <= before:
                raise late(self._section.health_seconds) from None

    async def aclose(self) -> None:
        """End SGLang and its processes. Safe to call twice."""
        self._closed = True
        async with self._starting:
            runtime, self._runtime = self._runtime, None
            if runtime is not None:
                await asyncio.to_thread(runtime.stop)

    @property
    def collector(self) -> SglangMetrics:
        """SGLang's metric families, to be registered once."""
        return SglangMetrics(lambda: metrics_folder() if self._section.metrics and self.process_ids else None)

    @property
    def process_ids(self) -> list[int]:
        """SGLang's processes, none where it does not run."""
        return self._runtime.process_ids if self._runtime is not None and self._runtime.alive else []

    async def _running(self) -> Runtime:
        runtime = self._runtime
        if runtime is not None and runtime.alive:
            return runtime
        async with self._starting:
            if self._closed:
                raise unreachable("it was stopped")
            if self._runtime is None or not self._runtime.alive:
                if self._runtime is not None:
                    await asyncio.to_thread(self._runtime.stop)
                    self._runtime = None
                self._runtime = await asyncio.to_thread(self._started)
            return self._runtime

    def _started(self) -> Runtime:
        section = self._section
        if section.device == "cuda":
            check_parallel(self._checkpoint, section.tensor_parallel, _gpus())
        if section.model_sha256 is not None:
            check_sum(self._checkpoint.folder, section.model_sha256)
        runtime = Runtime(self._arguments, environment(section))
        runtime.start()
        self._conversations = Conversations()
        if runtime.pool_tokens < section.context_length:
            pool = runtime.pool_tokens
            runtime.stop()
            raise ConfigurationError(
                f"the KV pool holds {pool} tokens, less than one conversation of "
                f"LITERESEARCHER_SGLANG__CONTEXT_LENGTH={section.context_length} may grow to: lower that, or give the "
                "pool more memory (KV=fp8, MEMORY_FRACTION, TENSOR_PARALLEL)"
            )
        return runtime

    async def _ids(self, request: GenerationRequest) -> list[int]:
        program = request.program if request.purpose in _OWN_TURNS else ""
        if self._history.new_characters(request.messages, program) > _INLINE_CHARACTERS:
            return await asyncio.to_thread(self._history.prompt, request.messages, program=program)
        return self._history.prompt(request.messages, program=program)

    def _check(self, ids: list[int], max_tokens: int) -> None:
        """What would end SGLang's process, or what it would refuse."""
        if max(ids) >= self._checkpoint.vocabulary or min(ids) < 0:
            raise refused(
                f"a token id of the history is outside the model's vocabulary of {self._checkpoint.vocabulary}"
            )
        limit = self._section.context_length
        if len(ids) + max_tokens > limit:
            raise PromptTooLong(
                f"a prompt of {len(ids)} tokens and {max_tokens} to generate are more than the context of {limit}"
            )

    async def _answer(
        self, runtime: Runtime, arguments: dict[str, Any], stop: tuple[str, ...], on_delta: DeltaSink | None
    ) -> dict[str, Any]:
        """SGLang's last word on a request."""
        if on_delta is None:
            return await runtime.call(lambda engine: _whole(engine, arguments))
        delivery = Delivery(on_delta, stop)
        return await delivery.follow(runtime.call(lambda engine: _streamed(engine, arguments, delivery)))


async def _whole(engine: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    with refusals():
        answer: dict[str, Any] = await engine.async_generate(**arguments, stream=False)
    return answer


async def _streamed(engine: Any, arguments: dict[str, Any], delivery: Delivery) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    with refusals():
        async for answer in await engine.async_generate(**arguments, stream=True):
            delivery.put(answer["text"])
    return answer


async def _last_heard(engine: Any) -> float:
    return float(engine.tokenizer_manager.last_receive_tstamp)


def _gpus() -> int:
    """How many GPUs this process may use."""
    return int(importlib.import_module("torch").cuda.device_count())


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
