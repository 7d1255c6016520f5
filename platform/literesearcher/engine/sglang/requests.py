"""Requests to SGLang's engine, each to be run on its own loop (`Runtime.call`).

Owns: how a request is put, whole or streamed, and the shortest one. Refuses to know: processes, conversations.
Above: `engine.sglang.engine`, `engine.sglang.start`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from literesearcher.engine.delivery import Delivery
from literesearcher.engine.sglang.failures import refusals
from literesearcher.engine.sglang.sampling import HEALTH_PRIORITY
from literesearcher.settings.cluster_sections import SglangSection


def one_token(section: SglangSection, ids: Sequence[int], rid: str) -> dict[str, Any]:
    """Arguments of a generation of nobody's, before all others."""
    arguments: dict[str, Any] = {
        "input_ids": list(ids),
        "sampling_params": {"max_new_tokens": 1, "temperature": 0.0},
        "rid": rid,
    }
    if section.priority_scheduling:
        arguments["priority"] = HEALTH_PRIORITY
    return arguments


async def whole(engine: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """SGLang's last word on a request."""
    with refusals():
        answer: dict[str, Any] = await engine.async_generate(**arguments, stream=False)
    return answer


async def streamed(engine: Any, arguments: dict[str, Any], delivery: Delivery) -> dict[str, Any]:
    """The same, all text so far put into `delivery` as it comes."""
    answer: dict[str, Any] = {}
    with refusals():
        async for answer in await engine.async_generate(**arguments, stream=True):
            delivery.put(answer["text"])
    return answer


async def last_heard(engine: Any) -> float:
    """When its processes last sent something."""
    return float(engine.tokenizer_manager.last_receive_tstamp)
