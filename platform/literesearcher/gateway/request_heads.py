"""A request's head has a time limit: a client that stops in the middle of one does not keep its connection.

Owns: the clock of a head, from the connection's opening or the head's first byte to its last. Refuses to know: bodies
(`request_body` bounds them), idle connections between requests (the server's keep-alive does). Below: uvicorn's h11
protocol, which has no such limit. Above: `gateway.serving`.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedHeads(H11Protocol):
    """A connection; `head_seconds` is set on a subclass."""

    head_seconds = 20.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client that connects has something to ask."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for."""
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Part of a head, or all of it and more."""
        super().data_received(data)
        if self._answering():
            self._rest()
        elif self._timer is None:
            # The server took its keep-alive limit back at the first byte.
            self._timer = self.loop.call_later(self.head_seconds, self._give_up)

    def on_response_complete(self) -> None:
        """What came meanwhile may be the beginning of the next head."""
        super().on_response_complete()
        if not self._answering() and self.conn.trailing_data[0]:
            self._timer = self._timer or self.loop.call_later(self.head_seconds, self._give_up)

    def _answering(self) -> bool:
        return self.conn.their_state is not h11.IDLE or (self.cycle is not None and not self.cycle.response_complete)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if not self._answering():
            self.transport.close()


def timed_heads(seconds: float) -> type[TimedHeads]:
    """The protocol with this limit; uvicorn takes a class."""
    return type("TimedHeads", (TimedHeads,), {"head_seconds": seconds})
