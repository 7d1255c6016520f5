"""A runtime with made-up timing: prefill and decode rates, a KV pool with a prefix cache by program, one queue.

Owns: when things happen. Prompts are prefilled one after another (by priority, then by arrival), each for what of it
is not in the pool; running requests decode together, each slower the more there are. Given a clock, everything about
it is deterministic. Refuses to know: Ray, tokenizers (a token is four characters). Below: `timed_pool`, `timed_script`.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from literesearcher.engine.load import EngineLoad
from literesearcher.engine.port import DeltaSink, EngineInfo, Generation, GenerationRequest
from literesearcher.engine.raw_call import Token
from literesearcher.errors import BoundaryError, PromptTooLong
from literesearcher.research.messages import Usage
from literesearcher.testing.timed_pool import History, TimedPool, tokens_of
from literesearcher.testing.timed_script import ResearchScript
from literesearcher.timing.clock import Clock, SystemClock

TOKEN = 4
"""Characters of a token."""
Script = Callable[[GenerationRequest], str | Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Timing:
    """Tokens, and tokens a second."""

    kv_tokens: int = 200_000
    prefill_per_second: float = 10_000.0
    decode_per_second: float = 100.0
    """Of a request that runs alone."""
    half_speed_at: int = 32
    """With so many others beside it, a request decodes at half that rate."""
    chunk: int = 16
    """Tokens of one delta."""


@dataclass(order=True)
class _Asked:
    """One request in the line. Ordered by priority, then arrival."""

    order: tuple[int, int]
    program: str = field(compare=False)
    history: History = field(compare=False)
    tokens: int = field(compare=False)
    """Prompt and what will be generated."""
    admitted: asyncio.Future[History] = field(compare=False)
    """Its result: the part of the history that was in the pool."""


class TimedEngine:
    """Implements `engine.port.Engine` and `engine.load.Loaded`."""

    def __init__(
        self,
        timing: Timing | None = None,
        *,
        script: Script | None = None,
        clock: Clock | None = None,
        info: EngineInfo | None = None,
        replica: str | None = None,
    ) -> None:
        """`script` may raise, or be awaited; `replica` is what generations say served them."""
        self.timing = timing or Timing()
        self.pool = TimedPool(self.timing.kv_tokens)
        self._script = script or ResearchScript()
        self._clock = clock or SystemClock()
        self._info = info or EngineInfo(kind="timed", model="timed-model", context_length=131_072)
        self._replica = replica
        self._line: list[_Asked] = []
        self._arrivals = 0
        self._prefilling = 0
        """Uncached tokens of the prompt that is being prefilled."""
        self._running = 0
        self._going = asyncio.Event()
        self._going.set()

    async def describe(self) -> EngineInfo:
        """As given at construction."""
        return self._info

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        """What the script says, cut at stop strings and `max_tokens`, when the timing says."""
        try:
            async with asyncio.timeout(timeout_seconds):
                said = self._script(request)
                text = await said if inspect.isawaitable(said) else said
                return await self._timed(request, text, on_delta)
        except TimeoutError:
            raise BoundaryError("the timed engine was too late", code="engine_timeout", transient=True) from None

    def count_tokens(self, text: str) -> int | None:
        """Four characters each."""
        return _count(text)

    async def aclose(self) -> None:
        """Nothing to close."""

    async def load(self) -> EngineLoad:
        """The load now."""
        rate = self._rate()
        waiting = [asked for asked in self._line if not asked.admitted.done()]
        uncached = (
            tokens_of(asked.history) - tokens_of(self.pool.prefix(asked.program, asked.history)) for asked in waiting
        )
        return EngineLoad(
            kv_capacity=self.pool.capacity,
            kv_used=self.pool.used,
            running=self._running,
            waiting=len(waiting),
            queued_prefill=self._prefilling + sum(uncached),
            prefill_per_second=self.timing.prefill_per_second,
            decode_per_second=rate * self._running,
        )

    async def release(self, program: str) -> None:
        """Forget the conversation."""
        self.pool.release(program)
        self._admit()

    async def check(self) -> None:
        """BoundaryError `engine_timeout` while stalled for longer than the runtime's own second."""
        try:
            await asyncio.wait_for(self._going.wait(), 1.0)
        except TimeoutError:
            raise BoundaryError("no token came", code="engine_timeout", transient=True) from None

    def stall(self) -> None:
        """Generate nothing more until `go_on`, as a GPU that hangs."""
        self._going.clear()

    def go_on(self) -> None:
        """The other way round."""
        self._going.set()

    async def _timed(self, request: GenerationRequest, text: str, on_delta: DeltaSink | None) -> Generation:
        text, finish, stop = _cut(text, request)
        pieces = [text[at : at + TOKEN] for at in range(0, len(text), TOKEN)]
        history = _history(request)
        prompt = tokens_of(history)
        # One page is one request: its prompt stands before no later one.
        program = "" if request.purpose == "extract" else request.program
        tokens = prompt + len(pieces)
        if prompt >= self._info.context_length or tokens > self.pool.capacity:
            raise PromptTooLong(f"{tokens} tokens are more than the pool or the context holds")
        kept = await self._turn(request, program, history, tokens)
        cached = tokens_of(kept)
        try:
            try:
                await self._going.wait()
                await self._clock.sleep(self._prefilling / self.timing.prefill_per_second)
            finally:
                self._prefilling = 0
                self._admit()
            kept = history
            for at in range(0, len(pieces), self.timing.chunk):
                chunk = pieces[at : at + self.timing.chunk]
                await self._going.wait()
                await self._clock.sleep(len(chunk) / self._rate())
                if on_delta is not None:
                    await on_delta("".join(chunk))
            kept = (*history, (f"assistant\n{text}", len(pieces)))
        finally:
            self._running -= 1
            self.pool.give_back(program, tokens, kept if program else ())
            self._admit()
        asked_ids = request.sampling.logprobs
        ids = tuple(zlib.crc32(piece.encode()) % 151_643 for piece in pieces)
        return Generation(
            text=text,
            finish_reason=finish,
            usage=Usage(prompt, len(pieces), min(cached, prompt - 1)),
            model=self._info.model,
            matched_stop=stop,
            token_ids=ids if asked_ids else None,
            logprobs=(-0.5,) * len(pieces) if asked_ids else None,
            tokens=tuple(Token(id_, piece, -0.5, ((piece, -0.5),)) for id_, piece in zip(ids, pieces, strict=True))
            if asked_ids and request.raw is not None
            else None,
            replica=self._replica,
        )

    async def _turn(self, request: GenerationRequest, program: str, history: History, tokens: int) -> History:
        """Stand in the line until the prompt may be prefilled. Returns what of it is in the pool."""
        self._arrivals += 1
        admitted: asyncio.Future[History] = asyncio.get_running_loop().create_future()
        asked = _Asked((-request.priority, self._arrivals), program, history, tokens, admitted)
        heapq.heappush(self._line, asked)
        self._admit()
        try:
            return await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self._prefilling = 0
                self._running -= 1
                self.pool.give_back(program, tokens, admitted.result() if program else ())
            self._admit()
            raise

    def _admit(self) -> None:
        while self._line and self._line[0].admitted.done():
            heapq.heappop(self._line)
        if not self._line or self._prefilling:
            return
        asked = self._line[0]
        prefix = self.pool.prefix(asked.program, asked.history)
        if not self.pool.take(asked.program, asked.tokens):
            return
        heapq.heappop(self._line)
        self._running += 1
        # At least one token is prefilled, or there would be nothing to generate from.
        self._prefilling = max(1, tokens_of(asked.history) - tokens_of(prefix))
        asked.admitted.set_result(prefix)

    def _rate(self) -> float:
        """Tokens a second of one of the running requests."""
        return self.timing.decode_per_second / (1 + max(0, self._running - 1) / self.timing.half_speed_at)


def _history(request: GenerationRequest) -> History:
    raw = request.raw.prompt if request.raw is not None else None
    if raw is not None:
        return ((str(raw), _count(raw) if isinstance(raw, str) else len(raw)),)
    return tuple((f"{m.role}\n{m.content}", _count(m.content) + TOKEN) for m in request.messages)


def _count(text: str) -> int:
    return -(-len(text) // TOKEN)


def _cut(text: str, request: GenerationRequest) -> tuple[str, str, str | None]:
    """The text as far as it goes, its finish reason, the stop string that ended it."""
    found = [(at, stop) for stop in request.sampling.stop if (at := text.find(stop)) >= 0]
    finish, stop = "stop", None
    if found:
        at, stop = min(found)
        text = text[:at]
    if _count(text) > request.max_tokens:
        text, finish, stop = text[: request.max_tokens * TOKEN], "length", None
    return text, finish, stop
