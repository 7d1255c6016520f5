"""The engine over Transformers in this process: for trying the checkpoint out, and as the yardstick of the others.

Owns: one generation from prompt to `Generation`, the thread it runs on, cancelling and deadlines. Calls wait for each
other: it has no batches. Refuses to know: jobs, retries. Above: the orchestrator, through `engine.port`.
Below: `runtime` (the model), `engine.token_history` (prompts as token ids), `engine.delivery` (text as it comes).
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from literesearcher.engine.checkpoint import read_checkpoint
from literesearcher.engine.delivery import Delivery, clean
from literesearcher.engine.port import DeltaSink, EngineInfo, Generation, GenerationRequest
from literesearcher.engine.raw_call import check_vocabulary, told
from literesearcher.engine.raw_prompts import RawPrompts
from literesearcher.engine.token_history import IM_END, TokenHistory
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.engine.transformers.runtime import Cancelled, Runtime, Work, Written
from literesearcher.errors import BoundaryError, ConfigurationError, PromptTooLong
from literesearcher.research.messages import Usage
from literesearcher.settings.sections import EngineSection

MODEL_SETTING = "LITERESEARCHER_ENGINE__MODEL"
_OWN_TURNS = ("turn", "context_answer")


class TransformersEngine:
    """Implements `engine.port.Engine`. The model is loaded at the first generation."""

    def __init__(self, section: EngineSection) -> None:
        """ConfigurationError, in a sentence, where Transformers or the checkpoint is not there."""
        if section.model is None:
            raise ConfigurationError(f"ENGINE__KIND=transformers needs {MODEL_SETTING}, the folder of a checkpoint")
        require_transformers()
        checkpoint = read_checkpoint(Path(section.model), setting=MODEL_SETTING)
        self._checkpoint = checkpoint
        self._context = section.context_length or checkpoint.context_length
        if self._context > checkpoint.context_length:
            raise ConfigurationError(
                f"LITERESEARCHER_ENGINE__CONTEXT_LENGTH={self._context} is beyond the model's "
                f"{checkpoint.context_length}"
            )
        self._seconds = section.request_timeout_seconds
        self._opens_thought = section.opens_thought
        self._tokenizer = Tokenizer.from_file(section.tokenizer_file or checkpoint.tokenizer_file)
        self._history = TokenHistory(self._tokenizer, opens_thought=section.opens_thought)
        self._raw_prompts = RawPrompts(self._tokenizer)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")
        self._under_way: set[Work] = set()
        self._runtime: Runtime | None = None
        self._closed = False

    async def describe(self) -> EngineInfo:
        """Known from settings and checkpoint; loads nothing."""
        return EngineInfo(kind="transformers", model=self._checkpoint.name, context_length=self._context)

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        """One generation; the wait for those before it counts into the time."""
        seconds = min(timeout_seconds, self._seconds)
        try:
            async with asyncio.timeout(seconds):
                written, prompt_tokens = await self._answer(request, on_delta)
        except TimeoutError:
            raise BoundaryError(
                f"Transformers gave no answer within {seconds:.0f} s", code="engine_timeout", transient=True
            ) from None
        text = clean(written.text)
        ids = self._history.settled(written.ids, text)
        kept = len(written.ids if ids is None else ids)
        return Generation(
            text=text,
            finish_reason=written.finish_reason,
            usage=Usage(prompt_tokens, len(written.ids), written.cached_tokens),
            model=self._checkpoint.name,
            opened_thought=self._opens_thought,
            matched_stop=written.matched_stop,
            token_ids=ids,
            logprobs=tuple(written.logprobs[:kept]) if request.sampling.logprobs else None,
            tokens=told(self._tokenizer, written.ids[:kept], written.logprobs, written.others)
            if request.raw is not None and request.sampling.logprobs
            else None,
        )

    def count_tokens(self, text: str) -> int | None:
        """By the checkpoint's own tokenizer."""
        return self._tokenizer.count(text)

    async def aclose(self) -> None:
        """Call off what runs and let go of the model. Safe to call twice."""
        self._closed = True
        for work in self._under_way:
            work.cancelled.set()
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)
        self._runtime = None

    async def _answer(self, request: GenerationRequest, on_delta: DeltaSink | None) -> tuple[Written, int]:
        program = request.program if request.purpose in _OWN_TURNS else ""
        raw, most = request.raw, request.max_tokens
        if raw is not None and raw.prompt is not None:
            ids = await self._raw_prompts.ids(raw.prompt)
        else:
            ids = await asyncio.to_thread(self._history.prompt, request.messages, program=program)
        if raw is not None:
            check_vocabulary(raw, self._checkpoint.vocabulary)
            most = raw.new_tokens(most, self._context - len(ids))
        self._check(ids, most)
        work = Work(ids, request.sampling, most, kept=bool(program), raw=raw)
        if on_delta is None:
            return await self._run(work), len(ids)
        delivery = Delivery(on_delta, request.sampling.stop)
        work = dataclasses.replace(work, put=delivery.put)
        found: list[Written] = []

        async def told() -> dict[str, Any]:
            found.append(await self._run(work))
            return {"text": found[0].text}

        await delivery.follow(told())
        return found[0], len(ids)

    async def _run(self, work: Work) -> Written:
        if self._closed:
            raise _unreachable("it was stopped")
        self._under_way.add(work)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, work)
        except Cancelled:
            raise _unreachable("it was stopped") from None
        finally:
            # Also where this call alone was cancelled: the thread then ends it between two tokens.
            work.cancelled.set()
            self._under_way.discard(work)

    def _write(self, work: Work) -> Written:
        """On the model's thread."""
        if work.cancelled.is_set():
            raise Cancelled
        try:
            if self._runtime is None:
                end = self._tokenizer.token(IM_END)
                self._runtime = Runtime(self._checkpoint.folder, self._tokenizer, [] if end is None else [end])
        except (OSError, ValueError, RuntimeError) as error:
            raise _unreachable(f"the checkpoint cannot be loaded: {_words(error)}", transient=False) from error
        try:
            return self._runtime.write(work)
        except RuntimeError as error:
            raise BoundaryError(f"Transformers failed: {_words(error)}", code="engine_error", transient=True) from error

    def _check(self, ids: list[int], max_tokens: int) -> None:
        if max(ids) >= self._checkpoint.vocabulary or min(ids) < 0:
            raise BoundaryError(
                f"a token id of the history is outside the model's vocabulary of {self._checkpoint.vocabulary}",
                code="engine_rejected",
                transient=False,
            )
        if len(ids) + max_tokens > self._context:
            raise PromptTooLong(
                f"a prompt of {len(ids)} tokens and {max_tokens} to generate are more than the context of "
                f"{self._context}"
            )


def require_transformers() -> None:
    """ConfigurationError where torch or Transformers is missing here."""
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"ENGINE__KIND=transformers needs {' and '.join(missing)}, not installed here: "
            "pip install 'literesearcher[transformers]'"
        )


def _unreachable(why: str, *, transient: bool = True) -> BoundaryError:
    return BoundaryError(f"Transformers is not running: {why}", code="engine_unreachable", transient=transient)


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
