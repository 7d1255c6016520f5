"""The engine over a handle of the application `engine`: implements `engine.port.Engine` for orchestrators and tools.

Owns: one try a call (a refused one is sent on at once), the call's deadline, that a cancelled call is cancelled in the
replica too (Ray does not see a dropped reader), that all turns of a job carry its id. Refuses to know: which replica is
right (the router), retries of what failed. Its tokenizer is the model's own, in this process: counting a text is not
worth a call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from literesearcher.cluster.routing.hint import RouteHint, hint_of, session_of
from literesearcher.cluster.serve_failures import FAILURES, lost_call
from literesearcher.engine.load import EngineLoad
from literesearcher.engine.port import DeltaSink, EngineInfo, Generation, GenerationRequest
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.errors import BoundaryError, CallLost, LiteResearcherError, ReplicaLeaving
from literesearcher.timing.clock import Clock, SystemClock

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

DESCRIBE_SECONDS = 15.0
RELEASE_SECONDS = 5.0
EXCHANGE_SECONDS = 3.0
GRACE_SECONDS = 5.0
"""The replica's own deadline comes first; this one is for a replica that does not answer at all."""
AVOID_SECONDS = 30.0
"""A replica that refused a call, or was lost with one, gets none of this process for so long, if there are others."""
REFUSALS = 4
"""Of one call, then it is a failed try: nobody takes it."""
NEWS_SECONDS = 0.5
"""The only replica that this process knows is stopping: Serve's word of it, and of others, is on its way."""


class ServeEngine:
    """The pool of engine replicas as one engine."""

    def __init__(
        self,
        handle: DeploymentHandle[Any],
        *,
        tokenizer: Tokenizer | None = None,
        clock: Clock | None = None,
        on_moved: Callable[[str], None] | None = None,
    ) -> None:
        """`on_moved` counts calls that must be made elsewhere: `lost` or `refused`."""
        self._handle = handle
        self._tokenizer = tokenizer
        self._clock = clock or SystemClock()
        self._on_moved = on_moved or (lambda reason: None)
        self._refusing: dict[str, float] = {}
        self._lost: dict[str, float] = {}
        self._info: EngineInfo | None = None

    async def describe(self) -> EngineInfo:
        """Asked of one replica, once."""
        if self._info is None:
            answer = await self._whole(self._handle.describe.remote(), DESCRIBE_SECONDS)
            if not isinstance(answer, EngineInfo):
                raise _garbled()
            self._info = answer
        return self._info

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        """One generation; streamed only where somebody listens."""
        refused: set[str] = set()
        for _ in range(REFUSALS):
            hint = hint_of(request)
            hint.avoid = self._avoid(request.last_replica) | refused
            try:
                return await self._once(request, hint, timeout_seconds, on_delta)
            except ReplicaLeaving:
                refused |= self._move("refused", hint, self._refusing)
                if hint.insist:
                    await self._clock.sleep(NEWS_SECONDS)
            except CallLost:
                self._move("lost", hint, self._lost)
                raise
        raise BoundaryError("every replica of the engine is leaving", code="engine_unreachable", transient=True)

    async def _once(
        self, request: GenerationRequest, hint: RouteHint, timeout_seconds: float, on_delta: DeltaSink | None
    ) -> Generation:
        limit = timeout_seconds + GRACE_SECONDS
        called = self._handle.options(session_id=session_of(request))
        if on_delta is None:
            answer = await self._whole(called.generate.remote(request, timeout_seconds, route=hint), limit)
            return _generation(answer, hint)
        pieces: Any = called.options(stream=True).stream.remote(request, timeout_seconds, route=hint)
        try:
            async with asyncio.timeout(limit):
                async for piece in pieces:
                    if isinstance(piece, str):
                        await on_delta(piece)
                    else:
                        return _generation(piece, hint)
        except FAILURES as error:
            raise lost_call(error, "the engine", room="engine") from error
        except TimeoutError:
            raise _late() from None
        finally:
            pieces.cancel()
        raise _garbled()

    async def release(self, program: str) -> None:
        """The job goes on no more: what replicas keep for it may go, wherever it has been. A replica that is away has
        nothing left, and one that does not hear it in time lets go by itself in the end."""
        told = self._handle.broadcast("release", program)
        with contextlib.suppress(TimeoutError, *FAILURES):
            async with asyncio.timeout(RELEASE_SECONDS):
                await told.results_async(return_exceptions=True)

    async def exchange(self, queued: int | None, live: int | None) -> dict[str, EngineLoad | None]:
        """Tell every replica what the job store counts, and hear each one's load by its id; see `EngineReplica`. One
        that does not answer is left out."""
        told = self._handle.broadcast("exchange", queued, live)
        try:
            answers = await told.results_async(timeout_s=EXCHANGE_SECONDS, return_exceptions=True)
        except FAILURES as error:
            raise lost_call(error, "the engine", room="engine") from error
        except TimeoutError:
            raise _late() from None
        return dict(answer for answer in answers if isinstance(answer, tuple))

    def count_tokens(self, text: str) -> int | None:
        """By the model's own tokenizer, None where no file was named."""
        return self._tokenizer.count(text) if self._tokenizer else None

    async def aclose(self) -> None:
        """The handle belongs to the process."""

    def _avoid(self, last: str | None) -> frozenset[str]:
        """One that refuses new jobs may still take this one, whose prefix it has: they leave it a few at a time."""
        now = self._clock.monotonic()
        for avoided in (self._refusing, self._lost):
            for name in [name for name, at in avoided.items() if now - at >= AVOID_SECONDS]:
                del avoided[name]
        return frozenset(self._refusing.keys() - {last} | self._lost.keys())

    def _move(self, reason: str, hint: RouteHint, avoided: dict[str, float]) -> set[str]:
        self._on_moved(reason)
        if hint.taken is None:
            return set()
        avoided[hint.taken.replica] = self._clock.monotonic()
        return {hint.taken.replica}

    async def _whole(self, response: Any, seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                answer = await response
        except FAILURES as error:
            raise lost_call(error, "the engine", room="engine") from error
        except TimeoutError:
            raise _late() from None
        finally:
            # An answered call hears nothing of it.
            response.cancel()
        if isinstance(answer, LiteResearcherError):
            raise answer
        return answer


def _generation(outcome: Any, hint: RouteHint) -> Generation:
    if isinstance(outcome, LiteResearcherError):
        raise outcome
    if not isinstance(outcome, Generation):
        raise _garbled()
    return replace(outcome, routing=hint.taken.label) if hint.taken else outcome


def _garbled() -> BoundaryError:
    return BoundaryError("the engine sent no whole answer", code="engine_garbage", transient=True)


def _late() -> BoundaryError:
    return BoundaryError("no answer of the engine in time", code="engine_timeout", transient=True)
