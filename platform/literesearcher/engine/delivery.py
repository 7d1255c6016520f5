"""Generated text on its way to a listener: what of an unfinished text may be shown, and pieces of it across threads.

Owns: text that every store can hold, stop strings that may be cut off yet. Refuses to know: which runtime writes.
Above: `engine.sglang`, `engine.transformers`, `engine.openai_generate`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from literesearcher.engine.port import DeltaSink
from literesearcher.reading.unicode_text import valid_unicode


def clean(text: str) -> str:
    """Valid Unicode that every store can hold: lone surrogates and NUL become U+FFFD."""
    return valid_unicode(text.replace("\x00", "\ufffd"))


def shown(text: str, stop: tuple[str, ...]) -> str:
    """So much of an unfinished text as can be told: neither the beginning of a stop string, which may be cut off yet,
    nor half a character."""
    end = len(text.rstrip("\ufffd"))
    held = max((_begun(one, text, end) for one in stop), default=0)
    return text[: end - held]


def _begun(stop: str, text: str, end: int) -> int:
    """How many characters of a stop string, not the whole of it, the text ends with at `end`. Looks where its first
    character stands alone: stop strings may be long and many, and this is done for each piece of a stream."""
    at = max(0, end - len(stop) + 1)
    while stop and (at := text.find(stop[0], at, end)) >= 0:
        if text.startswith(stop[: end - at], at):
            return end - at
        at += 1
    return 0


class Delivery:
    """Carries the text of one stream from SGLang's thread to a listener, who gets what came since it last heard:
    however slow it is, nothing waits for it."""

    def __init__(self, on_delta: DeltaSink, stop: tuple[str, ...]) -> None:
        """Made on the listener's loop."""
        self._on_delta = on_delta
        self._stop = tuple(one for one in stop if one)
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._text = ""
        self._told = 0

    def put(self, text: str) -> None:
        """All text so far; called on SGLang's loop."""
        self._text = text
        self._loop.call_soon_threadsafe(self._came.set)

    async def follow(self, call: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        """Tell what comes until `call` ends, then the rest; its result. Cancelling this cancels it."""
        task = asyncio.ensure_future(call)
        task.add_done_callback(lambda _: self._came.set())
        try:
            while not task.done():
                await self._came.wait()
                self._came.clear()
                await self._tell(shown(self._text, self._stop))
            answer = task.result()
        finally:
            task.cancel()
        await self._tell(str(answer.get("text") or ""))
        return answer

    async def _tell(self, text: str) -> None:
        if len(text) > self._told:
            piece, self._told = text[self._told :], len(text)
            await self._on_delta(clean(piece))
