"""The raw model's answer, passed on as it comes.

Owns: that the generation ends when the client goes away, that a stream which breaks says so in OpenAI's form, and the
tenant's place while it runs. Refuses to know: which model it is (`raw_model.port`), what was asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from literesearcher.errors import LiteResearcherError
from literesearcher.gateway.model_call import ModelCall
from literesearcher.gateway.openai_errors import error_object
from literesearcher.gateway.problems import status_of
from literesearcher.gateway.raw_model.port import RawModel
from literesearcher.gateway.turnstile import Turnstile

log = logging.getLogger("literesearcher.gateway")

_STREAM = "text/event-stream"

Emit = Callable[[bytes], Awaitable[None]]


class PassedAnswer(Response):
    """Answers with what the model answers. A failure before the first byte is raised, for the border to word."""

    def __init__(
        self,
        call: ModelCall,
        path: str,
        *,
        model: RawModel,
        turns: Turnstile,
        tenant_id: str,
        stall_seconds: float,
    ) -> None:
        """`path` is one of OpenAI's routes."""
        self._call = call
        self._path = path
        self._model = model
        self._turns = turns
        self._tenant = tenant_id
        self._stall_seconds = stall_seconds
        self.status_code = 200
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        passing = asyncio.ensure_future(self._pass(send))
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait({passing, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (passing, gone):
                task.cancel()
            await asyncio.gather(passing, gone, return_exceptions=True)
        if not passing.cancelled():
            passing.result()

    async def _pass(self, send: Send) -> None:
        with self._turns.passed(self._tenant, self._call.weight):
            emit: Emit | None = None
            try:
                async with self._model.answer(self._path, self._call) as answer:
                    if answer.pieces is not None:
                        emit = await self._started(send, _STREAM)
                        async for piece in answer.pieces:
                            await emit(piece)
                    else:
                        emit = await self._started(send, "application/json")
                        await emit(answer.body or b"")
            except LiteResearcherError as error:
                if emit is None:
                    raise
                said = error_object(error.code, error.message, status=status_of(error))
                # The empty line ends an event that was cut off before its own.
                await emit(b"\ndata: " + orjson.dumps(said) + b"\n\n")
            except _Stalled:
                log.info("a client took nothing for %s s: its answer was broken off", self._stall_seconds)
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _started(self, send: Send, kind: str) -> Emit:
        """Begin the answer; what takes its pieces."""
        headers = [(b"content-type", kind.encode())]
        if kind == _STREAM:
            # A proxy that gathers the answer before it passes it on would hold the text back.
            headers.append((b"x-accel-buffering", b"no"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def emit(piece: bytes) -> None:
            try:
                async with asyncio.timeout(self._stall_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except TimeoutError:
                raise _Stalled from None

        return emit


class _Stalled(Exception):
    """The client takes nothing."""


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
