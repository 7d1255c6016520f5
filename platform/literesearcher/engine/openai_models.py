"""What an OpenAI-compatible server says of itself: which model, how much context, whether it takes priorities.

Owns: the order of asking (`/v1/models`, then SGLang's `/get_model_info` and `/get_server_info`) and the default.
Refuses to know: connections (it is handed a GET). Above: `engine.openai`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from literesearcher.engine.openai_answer import parse
from literesearcher.engine.port import EngineInfo
from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.settings.sections import EngineSection

DEFAULT_CONTEXT_LENGTH = 131_072
"""Where nobody says: the context of the published benchmark rows."""

Get = Callable[[str], Awaitable[tuple[int, bytes]]]
"""GET an address: (status, body). Raises BoundaryError for what no other address would answer better."""


async def ask_info(section: EngineSection, get: Get) -> EngineInfo:
    """Model and context length. ConfigurationError where the model is left open, BoundaryError where none answers."""
    base = (section.base_url or "").rstrip("/")
    status, body = await get(f"{base}/models")
    listed = _listed(body) if status == 200 else None
    if listed is None and section.model is None:
        raise ConfigurationError(
            f"{base}/models answered {status} and names no model: check that the base URL ends in /v1, "
            "or name the model with LITERESEARCHER_ENGINE__MODEL"
        )
    cards = listed or {}
    model = section.model or _only(list(cards), base)
    card = cards.get(model) or (next(iter(cards.values())) if len(cards) == 1 else {})
    length = section.context_length or _length(card) or await _of_server(base, get) or DEFAULT_CONTEXT_LENGTH
    return EngineInfo(kind="openai", model=model, context_length=length)


async def priority_sign(base: str, get: Get) -> int:
    """1 where the server says, as SGLang and an engine replica do, that it takes a `priority` of which the higher is
    earlier, -1 where the lower is, 0 where it schedules by none. Raises what `get` raises."""
    root = base.removesuffix("/v1")
    for page in ("/server_info", "/get_server_info"):
        status, body = await get(root + page)
        if status != 200:
            continue
        told = parse(body)
        if told.get("enable_priority_scheduling") is not True:
            return 0
        return -1 if told.get("schedule_low_priority_values_first") is True else 1
    return 0


def _listed(body: bytes) -> dict[str, dict[str, Any]] | None:
    data = parse(body).get("data")
    if not isinstance(data, list):
        return None
    return {str(card["id"]): card for card in data if isinstance(card, dict) and card.get("id")}


def _only(models: list[str], base: str) -> str:
    if len(models) == 1:
        return models[0]
    if not models:
        raise ConfigurationError(f"{base}/models lists no model: name it with LITERESEARCHER_ENGINE__MODEL")
    some = ", ".join(models[:20]) + (" …" if len(models) > 20 else "")
    raise ConfigurationError(
        f"the server has {len(models)} models ({some}): name one of them with LITERESEARCHER_ENGINE__MODEL"
    )


async def _of_server(base: str, get: Get) -> int | None:
    """SGLang's own pages beside /v1. A server that lacks them, or fails on them, says nothing."""
    root = base.removesuffix("/v1")
    for page in ("/get_model_info", "/get_server_info"):
        try:
            status, body = await get(root + page)
            found = _length(parse(body)) if status == 200 else None
        except BoundaryError:
            continue
        if found:
            return found
    return None


def _length(card: dict[str, Any]) -> int | None:
    """`max_total_tokens` is SGLang's KV pool, not a context length, and is not asked."""
    for name in ("max_model_len", "context_length", "max_context_length", "context_window"):
        value = card.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None
