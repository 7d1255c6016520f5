"""A start of SGLang: from what is on the disk, or on the Hub, to a runtime that has read how conversations begin.

Owns: the order of a start, what is checked at each point, that a start that fails or is given up leaves no process.
Refuses to know: generations, who waits for it. Above: `engine.sglang.engine`. Below: `engine.weights`, `model`,
`runtime`.
"""

from __future__ import annotations

import asyncio
import importlib
import logging

from literesearcher.engine.checkpoint import check_parallel
from literesearcher.engine.sglang.arguments import environment, server_arguments
from literesearcher.engine.sglang.failures import late
from literesearcher.engine.sglang.model import Model, read_model
from literesearcher.engine.sglang.requests import one_token, whole
from literesearcher.engine.sglang.runtime import Runtime
from literesearcher.engine.start_phases import StartPhases
from literesearcher.engine.weights import Weights
from literesearcher.errors import ConfigurationError
from literesearcher.research.messages import Message
from literesearcher.settings.cluster_sections import SglangSection

logger = logging.getLogger(__name__)

_WARM_UP_SECONDS = 600.0
"""A warm-up that takes longer never ends."""


class Start:
    """Starts of one engine, one after another."""

    def __init__(
        self,
        section: SglangSection,
        weights: Weights,
        phases: StartPhases,
        *,
        opens_thought: bool,
        warm_up: tuple[Message, ...],
        extra: tuple[str, ...],
    ) -> None:
        """Reads the model where it is there. ConfigurationError for everything that can be known."""
        self.section = section
        self.weights = weights
        self.phases = phases
        self.model: Model | None = None
        self._opens_thought = opens_thought
        self._warm_up = warm_up
        self._extra = extra
        if weights.present or weights.source is None:
            self.model = self._read_model()
        else:
            server_arguments(section, str(weights.folder))

    async def run(self) -> Runtime:
        """A runtime that serves; `model` is its model. Cancelling ends the start."""
        section = self.section
        self.phases.begin()
        await self.weights.ensure(self.phases)
        if self.model is None:
            self.model = await asyncio.to_thread(self._read_model)
        if section.device == "cuda":
            check_parallel(self.model.checkpoint, section.tensor_parallel, await asyncio.to_thread(_gpus))
        runtime, served = Runtime(self.model.arguments, environment(section)), False
        try:
            with self.phases.phase("load"):
                await asyncio.to_thread(runtime.start)
            _check_pool(runtime.pool_tokens, section.context_length)
            if self._warm_up:
                with self.phases.phase("warm_up"):
                    await self._warm(runtime, self.model)
            served = True
        finally:
            if not served:
                await asyncio.shield(asyncio.to_thread(runtime.stop))
        told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.phases.ended)
        logger.info("SGLang runs: %s", told)
        return runtime

    def _read_model(self) -> Model:
        return read_model(self.section, self.weights.folder, opens_thought=self._opens_thought, extra=self._extra)

    async def _warm(self, runtime: Runtime, model: Model) -> None:
        """The first turn of the first job finds the shared beginning in the cache, and the kernels compiled."""
        ids = model.history.prompt(self._warm_up)
        model.check(ids, 1)
        arguments = one_token(self.section, ids, "warm-up")
        try:
            async with asyncio.timeout(_WARM_UP_SECONDS):
                await runtime.call(lambda engine: whole(engine, arguments))
        except TimeoutError:
            raise late(_WARM_UP_SECONDS) from None


def _check_pool(pool: int, context_length: int) -> None:
    if pool < context_length:
        raise ConfigurationError(
            f"the KV pool holds {pool} tokens, less than one conversation of "
            f"LITERESEARCHER_SGLANG__CONTEXT_LENGTH={context_length} may grow to: lower that, or give the pool more "
            "memory (KV=fp8, MEMORY_FRACTION, TENSOR_PARALLEL)"
        )


def _gpus() -> int:
    """How many GPUs this process may use."""
    return int(importlib.import_module("torch").cuda.device_count())
