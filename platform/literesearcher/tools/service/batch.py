"""Many calls of one tool in one request: carried out some at a time, answered in order, each for itself.

Owns: the batch's form and its bounds. Refuses to know: HTTP, how a call is carried out. A call that is wrong or fails
spoils no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from literesearcher.errors import CallerError, LiteResearcherError
from literesearcher.tools.gathering import gathered
from literesearcher.tools.port import ToolRequest, Tools
from literesearcher.tools.service.problems import document_of
from literesearcher.tools.service.wire_form import refuse_unknown

MAX_CALLS = 100
AT_ONCE = 16
"""Calls of one batch under way at a time; each may hold fifty queries or pages."""


def batch_calls(data: dict[str, Any]) -> list[Any]:
    """The calls of a body `{"calls": [...]}`. `CallerError` where it is none."""
    refuse_unknown(data, {"calls"})
    calls = data.get("calls")
    if not isinstance(calls, list) or not 1 <= len(calls) <= MAX_CALLS:
        raise CallerError(f"calls must be a list of 1 to {MAX_CALLS} calls", field="calls")
    return calls


async def carried_out(tools: Tools, calls: list[Any], request_of: Callable[[dict[str, Any]], ToolRequest]) -> Any:
    """`{"results": [{"result": ...} or {"problem": ...}, ...]}` in the order of the calls."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(place: int, call: Any) -> dict[str, Any]:
        async with free:
            try:
                if not isinstance(call, dict):
                    raise CallerError("a call must be an object")
                return {"result": await tools.call(request_of(call))}
            except LiteResearcherError as error:
                found = document_of(error)
                if found["status"] == 422:
                    found["field"] = ".".join(filter(None, ("calls", str(place), found.get("field"))))
                return {"problem": found}

    return {"results": await gathered([one(place, call) for place, call in enumerate(calls)])}
