"""All parts of a call at once, in order; when one raises or the call is cancelled, the others are cancelled first.

Refuses to know: what the parts do. Above: `tools.search`, `tools.visit`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def gathered(parts: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Results in the order of the parts. A single part runs in the caller's own task."""
    if len(parts) == 1:
        return [await parts[0]]
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        return await asyncio.gather(*tasks)
    finally:
        pending = [task for task in tasks if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.gather(*pending, return_exceptions=True)
