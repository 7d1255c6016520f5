"""Prompts of callers of the raw model, as token ids: each text is encoded once, one text at a time.

Owns: that the choices of one request share an encoding, and that long prompts hold one thread and no more, whoever
sends them. Refuses to know: runtimes, limits of a context. Above: the runtimes. Below: `engine.tokenizer`.
"""

from __future__ import annotations

import asyncio

from literesearcher.engine.tokenizer import Tokenizer


class RawPrompts:
    """For one engine; used on one event loop."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._under_way: dict[str, asyncio.Task[list[int]]] = {}
        self._one = asyncio.Lock()

    async def ids(self, prompt: str | tuple[int, ...]) -> list[int]:
        """The caller's own prompt as ids. A caller who gives up ends it for nobody else."""
        if not isinstance(prompt, str):
            return list(prompt)
        task = self._under_way.get(prompt)
        if task is None:
            task = asyncio.create_task(self._encoded(prompt))
            self._under_way[prompt] = task
            task.add_done_callback(lambda _: self._under_way.pop(prompt))
        return list(await asyncio.shield(task))

    async def _encoded(self, prompt: str) -> list[int]:
        async with self._one:
            return await asyncio.to_thread(self._tokenizer.encode_whole, prompt)
