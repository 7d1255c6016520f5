"""One model call with its retries: a command of the machine in, the event of its result out.

Owns: retries of the engine (through the one retry owner), the call's deadline, whether it streams, the result's form.
Refuses to know: the journal, the machine's state, which engine it is.
"""

from __future__ import annotations

import base64
import logging
import struct

from literesearcher.engine.port import DeltaSink, Engine, Generation, GenerationRequest
from literesearcher.errors import BoundaryError, CallLost
from literesearcher.jobs.live import Live
from literesearcher.orchestrator.lease import Lease
from literesearcher.orchestrator.stream import TurnStream
from literesearcher.reading.unicode_text import valid_unicode
from literesearcher.research.commands import Generate
from literesearcher.research.events import EffectFailed, TurnCompleted
from literesearcher.settings.sections import EngineSection
from literesearcher.timing.clock import Clock
from literesearcher.timing.retry import RetryPolicy, retrying

LOG = logging.getLogger("literesearcher.orchestrator")
DEADLINE_SLACK_SECONDS = 5.0
"""The lease closes the call at the job's deadline; the engine's own timeout must not come first and look like an
engine that failed."""
MESSAGE_CHARACTERS = 500


class ModelCalls:
    """The model calls of one job."""

    def __init__(
        self, *, engine: Engine, compressor: Engine, section: EngineSection, live: Live, clock: Clock, lease: Lease
    ) -> None:
        """`compressor` may be the engine itself."""
        self._engine = engine
        self._compressor = compressor
        self._section = section
        self._live = live
        self._clock = clock
        self._lease = lease
        self._policy = RetryPolicy(tries=section.tries)
        self._heard: int | None = None

    async def generate(self, command: Generate) -> TurnCompleted | EffectFailed:
        """Call the model until it answers, its retries are spent, or the job's deadline comes."""
        job = self._lease.job
        request = GenerationRequest(
            program=job.id,
            messages=command.messages,
            sampling=command.sampling,
            max_tokens=command.max_tokens,
            turn=command.turn,
            prefix_epoch=command.prefix_epoch,
            priority=job.priority,
            purpose=command.kind,
            prompt_tokens=command.prompt_tokens,
            last_replica=command.last_replica,
            kept_tokens=command.kept_tokens,
        )
        started = self._clock.monotonic()
        deadline = started + self._lease.deadline - self._clock.now().timestamp()
        stream, sink = await self._stream(command)
        engine = self._compressor if command.kind == "compress" else self._engine
        tries = lost = 0

        async def generate_once() -> Generation:
            nonlocal tries, lost
            tries += 1
            if stream is not None and tries > 1:
                await stream.restart()
            left = deadline - self._clock.monotonic() + DEADLINE_SLACK_SECONDS
            try:
                return await engine.generate(
                    request, timeout_seconds=min(self._section.request_timeout_seconds, left), on_delta=sink
                )
            except CallLost:
                lost += 1
                raise

        try:
            generation = await retrying(
                generate_once, policy=self._policy, clock=self._clock, deadline=deadline, on_retry=self._log_retry
            )
        except BoundaryError as error:
            return failure(command.turn, error, tries)
        if stream is not None:
            await stream.flush()
        return TurnCompleted(
            turn=command.turn,
            kind=command.kind,
            text=generation.text,
            finish_reason=generation.finish_reason,
            usage=generation.usage,
            prefix_epoch=command.prefix_epoch,
            model=generation.model,
            sampling=command.sampling,
            elapsed_seconds=self._clock.monotonic() - started,
            tries=tries,
            opened_thought=generation.opened_thought,
            matched_stop=generation.matched_stop,
            token_ids=None if generation.token_ids is None else packed(generation.token_ids),
            logprobs=None if generation.logprobs is None else list(generation.logprobs),
            engine_fingerprint=generation.engine_fingerprint,
            weights_fingerprint=generation.weights_fingerprint,
            replica=generation.replica,
            routing=generation.routing,
            lost=lost,
        )

    async def void(self, turn: int) -> None:
        """Tell listeners that what they heard of the turn from a dead process is void."""
        self._heard = turn
        await TurnStream(
            live=self._live, clock=self._clock, job_id=self._lease.job_id, turn=turn, attempt=self._lease.attempt
        ).restart()

    async def settle(self) -> None:
        """The turn is journalled or given up: its live text may be forgotten."""
        if self._heard is not None:
            turn, self._heard = self._heard, None
            await self._live.finish(self._lease.job_id, turn)

    def _log_retry(self, tried: int, error: BoundaryError, wait: float) -> None:
        LOG.warning(
            "job %s: model call failed (%s, try %d), again in %.1f s: %s",
            self._lease.job_id,
            error.code,
            tried,
            wait,
            error.message,
        )

    async def _stream(self, command: Generate) -> tuple[TurnStream | None, DeltaSink | None]:
        mode = self._section.stream
        if mode == "never" or (mode == "auto" and not await self._live.listening(self._lease.job_id)):
            return None, None
        if command.kind == "compress":
            # Notes to itself are no part of the turn that listeners follow.
            return None, _unheard if mode == "always" else None
        self._heard = command.turn
        stream = TurnStream(
            live=self._live,
            clock=self._clock,
            job_id=self._lease.job_id,
            turn=command.turn,
            attempt=self._lease.attempt,
        )
        return stream, stream.text


async def _unheard(piece: str) -> None:
    """A sink that nobody listens to."""


def failure(turn: int, error: BoundaryError, tries: int) -> EffectFailed:
    """The event of an effect that failed for good."""
    return EffectFailed(turn=turn, code=error.code, message=readable(error.message), tries=tries)


def readable(message: str) -> str:
    """A message fit for the journal: valid Unicode (it may quote a server's bytes) and not long."""
    return valid_unicode(message)[:MESSAGE_CHARACTERS]


def packed(token_ids: tuple[int, ...]) -> str:
    """Little-endian uint32, base64."""
    return base64.b64encode(struct.pack(f"<{len(token_ids)}I", *token_ids)).decode("ascii")
