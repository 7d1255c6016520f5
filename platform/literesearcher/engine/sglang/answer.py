"""What SGLang generated, as a `Generation`, and on its way there as pieces of text.

Owns: finish reasons, usage, ids as the next prompt will repeat them, what of a stream may be shown yet.
Refuses to know: processes. Above: `engine.sglang.engine`. Below: `engine.token_history`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from literesearcher.engine.port import DeltaSink, Generation
from literesearcher.engine.sglang.failures import aborted, garbage
from literesearcher.engine.token_history import TokenHistory
from literesearcher.reading.unicode_text import valid_unicode
from literesearcher.research.messages import Usage


def generation_of(
    answer: dict[str, Any],
    *,
    history: TokenHistory,
    prompt_tokens: int,
    model: str,
    logprobs: bool,
    opens_thought: bool,
) -> Generation:
    """BoundaryError where SGLang broke the request off or its answer cannot be read."""
    meta = answer.get("meta_info") or {}
    reason = meta.get("finish_reason")
    if not isinstance(reason, dict):
        raise garbage("half an answer")
    if reason.get("type") == "abort":
        raise aborted(reason)
    matched = reason.get("matched")
    text = clean(str(answer.get("text") or ""))
    ids: list[int] = answer.get("output_ids") or []
    settled = history.settled(ids, text)
    return Generation(
        text=text,
        finish_reason=str(reason.get("type")),
        usage=Usage(prompt_tokens, int(meta.get("completion_tokens") or len(ids)), _number(meta.get("cached_tokens"))),
        model=model,
        opened_thought=opens_thought,
        matched_stop=matched if isinstance(matched, str) else None,
        token_ids=settled,
        logprobs=_logprobs(meta, len(settled or ids)) if logprobs else None,
        weights_fingerprint=str(meta["weight_version"]) if meta.get("weight_version") else None,
    )


def clean(text: str) -> str:
    """Valid Unicode that every store can hold: lone surrogates and NUL become U+FFFD."""
    return valid_unicode(text.replace("\x00", "\ufffd"))


def shown(text: str, stop: tuple[str, ...]) -> str:
    """So much of an unfinished text as can be told: neither the beginning of a stop string, which may be cut off yet,
    nor half a character."""
    end = len(text.rstrip("\ufffd"))
    held = max((size for one in stop for size in range(1, len(one)) if text.endswith(one[:size], 0, end)), default=0)
    return text[: end - held]


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


def _logprobs(meta: dict[str, Any], count: int) -> tuple[float, ...] | None:
    """One a token, of those that the text keeps."""
    given = meta.get("output_token_logprobs")
    return tuple(float(one[0]) for one in given[:count]) if isinstance(given, list) else None


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) else None
