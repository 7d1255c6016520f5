"""A request's body on its way in: its announced length, its size, its time, and what is done with the rest of it.

Owns: the bounds, and that a sender gets to read the answer to a body that was refused: closing a connection on bytes
that nobody read resets it, and the answer with it. Refuses to know: what the body says (`gateway.bodies`), answers
(`gateway.border`).
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from literesearcher.errors import CallerError

MAX_BODY_BYTES = 2 * 1024 * 1024
"""The longest question (100,000 characters) fits even where each is written as two JSON escapes of six bytes."""
MAX_MODEL_BODY_BYTES = 8 * 1024 * 1024
"""Of a request to the raw model: 262,144 tokens as ids are 1.8 MB, as CJK text in JSON escapes up to 3 MB."""
BODY_SECONDS = 30.0
"""Time for a whole request body to arrive."""
_DRAIN_BYTES = 16 * 1024 * 1024
_DRAIN_SECONDS = 1.5
"""So much, and for so long, is read and dropped after a refusal."""


class RequestBody:
    """The body of one request, counted and timed."""

    def __init__(self, receive: Receive, headers: Headers, seconds: float, *, most_bytes: int = MAX_BODY_BYTES) -> None:
        self._receive = receive
        self._seconds = seconds
        self._most = most_bytes
        self._deadline: float | None = None
        self._read = 0
        self._length = headers.get("content-length", "0")
        chunked = "transfer-encoding" in headers
        self._two_lengths = chunked and "content-length" in headers
        self._more = chunked or self._length != "0"
        self._late = False
        self._waited_for = headers.get("expect", "").lower() == "100-continue"
        """The sender holds the body back until it is asked for; to read is to ask."""

    def check_length(self) -> None:
        """Refuse by what is announced, before anything is read."""
        if self._two_lengths:
            # A proxy that goes by the other of the two would take part of the body for the next request.
            raise CallerError(
                "send Content-Length or Transfer-Encoding, not both", code="bad_request", field="Transfer-Encoding"
            )
        if not self._length.isdecimal():
            raise CallerError("Content-Length must be a number", code="bad_request", field="Content-Length")
        if int(self._length[:20]) > self._most:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next message; `CallerError` when the body is too long or too slow."""
        if not self._more:
            return await self._receive()
        loop = asyncio.get_running_loop()
        if self._deadline is None:
            self._deadline = loop.time() + self._seconds
        self._waited_for = False
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self._late = True
            raise CallerError("the request body took too long to arrive", code="request_timeout") from None
        self._note(message)
        if self._read > self._most:
            raise self._too_large()
        return message

    async def has_rest(self) -> bool:
        """Is some of the body still on its way? What lies here already is dropped."""
        await self._drop(0)
        return self._more

    async def drain(self) -> None:
        """Read and drop the rest, within bounds. A body that was late, or is held back, is not waited for again."""
        await self._drop(_DRAIN_SECONDS)

    async def _drop(self, seconds: float) -> None:
        if self._late or self._waited_for:
            return
        try:
            async with asyncio.timeout(seconds):
                while self._more and self._read < _DRAIN_BYTES:
                    self._note(await self._receive())
        except TimeoutError:
            return

    def _note(self, message: Message) -> None:
        self._read += len(message.get("body", b""))
        self._more = message["type"] == "http.request" and bool(message.get("more_body", False))

    def _too_large(self) -> CallerError:
        return CallerError(f"the request body may hold {self._most} bytes", code="body_too_large")
