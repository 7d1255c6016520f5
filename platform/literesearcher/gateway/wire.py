"""How a job's stream looks on the wire: server-sent events or one JSON object a line, chosen by `Accept`.

Owns: the three media types, their negotiation, the bytes of a frame, and the response that pushes frames until the
client is gone. Refuses to know: journals, stores.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from literesearcher.errors import CallerError, LiteResearcherError
from literesearcher.gateway.public import delta_object, event_object
from literesearcher.gateway.stream import Emit, Frame, Remark
from literesearcher.jobs.live import Delta

log = logging.getLogger("literesearcher.gateway")

Format = Literal["text/event-stream", "application/x-ndjson", "application/json"]
FORMATS: tuple[Format, ...] = ("text/event-stream", "application/x-ndjson", "application/json")
"""In the order that decides between equals, so that `Accept: */*` gets server-sent events."""


def negotiate(accept: str | None) -> Format:
    """The best of FORMATS for an `Accept` header; `CallerError(code="not_acceptable")` where it wants none of them."""
    if accept is None or not accept.strip():
        return FORMATS[0]
    ranges = [_range(item) for item in accept[:4000].split(",") if item.strip()]
    best: tuple[float, Format] | None = None
    for name in FORMATS:
        fits = [(precision, q) for pattern, q in ranges if (precision := _fit(pattern, name)) > 0]
        quality = max(fits)[1] if fits else 0.0
        if quality > 0 and (best is None or quality > best[0]):
            best = (quality, name)
    if best is None:
        raise CallerError(f"events come as {', '.join(FORMATS)}", code="not_acceptable", field="Accept")
    return best[1]


def _range(item: str) -> tuple[str, float]:
    pattern, *parameters = (part.strip().lower() for part in item.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return pattern, 0.0
            return pattern, quality if 0.0 <= quality <= 1.0 else 0.0
    return pattern, 1.0


def _fit(pattern: str, name: str) -> int:
    """How precisely a media range names this type: 3 exactly, 2 its kind, 1 anything, 0 not."""
    if pattern == name:
        return 3
    if pattern == f"{name.partition('/')[0]}/*":
        return 2
    return 1 if pattern == "*/*" else 0


def server_sent(frame: Frame) -> bytes:
    """A frame as a server-sent event: journal events carry `id:`, live text does not, remarks are comments."""
    if isinstance(frame, Remark):
        return b": " + frame.text.encode() + b"\n\n"
    if isinstance(frame, Delta):
        live = delta_object(frame)
        return b"event: %s\ndata: %s\n\n" % (live["type"].encode(), orjson.dumps(live))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (frame.seq, frame.type.encode(), orjson.dumps(event_object(frame)))


def json_line(frame: Frame) -> bytes:
    """A frame as one line of JSON; each has `object` and `type`, only journal events have `seq`."""
    if isinstance(frame, Remark):
        return orjson.dumps({"object": "research.remark", "type": "remark", "text": frame.text}) + b"\n"
    return orjson.dumps(delta_object(frame) if isinstance(frame, Delta) else event_object(frame)) + b"\n"


ENCODERS: dict[str, Callable[[Frame], bytes]] = {FORMATS[0]: server_sent, FORMATS[1]: json_line}


class FrameResponse(Response):
    """Pushes what `run` emits. Ends, and frees everything that `run` holds, when the client goes away, when it takes
    nothing for `stall_seconds`, or when `run` returns."""

    def __init__(
        self,
        run: Callable[[Emit], Awaitable[None]],
        *,
        media_type: str,
        stall_seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._run = run
        self._encode = ENCODERS[media_type]
        self._stall_seconds = stall_seconds
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        self.init_headers(dict(headers or {}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

        async def emit(frame: Frame) -> None:
            async with asyncio.timeout(self._stall_seconds):
                await send({"type": "http.response.body", "body": self._encode(frame), "more_body": True})

        async with asyncio.TaskGroup() as group:
            gone = group.create_task(_until_gone(receive))
            pushed = group.create_task(self._push(emit))
            gone.add_done_callback(lambda _: pushed.cancel())
            pushed.add_done_callback(lambda _: gone.cancel())
        if not pushed.cancelled() and pushed.result():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _push(self, emit: Emit) -> bool:
        """False where the stream broke off: then nothing more is sent, and the server closes the connection."""
        ended = False
        try:
            await self._run(emit)
            ended = True
        except* TimeoutError:
            log.info("a client took nothing for %s s: its stream was closed", self._stall_seconds)
        except* LiteResearcherError as group:
            log.warning("a stream broke off: %s", group.exceptions[0])
        return ended


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
