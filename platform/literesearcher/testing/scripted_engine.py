"""The engine's in-memory twin: says what a script says, in order, and fails loudly when the script is not followed.

Owns: steps, what was asked (`requests`), the verdict (`verify`, also at the end of `async with`): an unexpected call
and an unused step are both failures, even where the code under test swallowed the first. Refuses to know: networks.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType

from literesearcher.engine.port import DeltaSink, EngineInfo, Generation, GenerationRequest
from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Usage

Said = str | Generation | BoundaryError
Step = Said | Callable[[GenerationRequest], Said | Awaitable[Said]]
"""A text (finish reason `stop`), a whole generation, an error to raise, or a function of the request that gives one."""


class ScriptedEngine:
    """Implements `engine.port.Engine`. `steps` is one script for all callers, or one a program (a job's id)."""

    def __init__(
        self,
        steps: Sequence[Step] | Mapping[str, Sequence[Step]],
        *,
        info: EngineInfo | None = None,
        count: Callable[[str], int] | None = None,
        piece: int = 7,
    ) -> None:
        """`count` stands for a tokenizer; `piece`: characters of a delta."""
        self._by_program = isinstance(steps, Mapping)
        scripts = steps if isinstance(steps, Mapping) else {"": steps}
        self._scripts = {program: deque(script) for program, script in scripts.items()}
        self._info = info or EngineInfo(kind="scripted", model="scripted-model", context_length=131_072)
        self._count = count
        self._piece = piece
        self.requests: list[GenerationRequest] = []
        self.unexpected: list[GenerationRequest] = []

    async def describe(self) -> EngineInfo:
        """As given at construction."""
        return self._info

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        """The next step. AssertionError beyond the script's end."""
        self.requests.append(request)
        script = self._scripts.get(request.program if self._by_program else "")
        if not script:
            self.unexpected.append(request)
            raise AssertionError(f"no step left for {request.program} turn {request.turn} ({request.purpose})")
        step = script.popleft()
        try:
            async with asyncio.timeout(timeout_seconds):
                said = step(request) if callable(step) else step
                if inspect.isawaitable(said):
                    said = await said
        except TimeoutError:
            raise BoundaryError("scripted timeout", code="engine_timeout", transient=True) from None
        if isinstance(said, BoundaryError):
            raise said
        generation = said if isinstance(said, Generation) else self._generation(request, said)
        if on_delta is not None:
            for at in range(0, len(generation.text), self._piece):
                await on_delta(generation.text[at : at + self._piece])
        return generation

    def count_tokens(self, text: str) -> int | None:
        """By the `count` given at construction."""
        return self._count(text) if self._count else None

    async def aclose(self) -> None:
        """Nothing to close."""

    def verify(self) -> None:
        """AssertionError on an unexpected call, or on steps that were never asked for."""
        assert not self.unexpected, f"{len(self.unexpected)} unexpected calls, first: {self.unexpected[0]}"
        unused = {program: len(script) for program, script in self._scripts.items() if script}
        assert not unused, f"unused steps: {unused}"

    async def __aenter__(self) -> ScriptedEngine:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.verify()

    def _generation(self, request: GenerationRequest, text: str) -> Generation:
        count = self._count or (lambda words: (len(words) + 3) // 4)
        prompt = sum(count(message.content) for message in request.messages)
        return Generation(text=text, finish_reason="stop", usage=Usage(prompt, count(text)), model=self._info.model)
