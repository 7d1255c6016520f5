"""Messages and prompts as callers of the raw model send them.

Owns: their forms. A message's text is text; a prompt is the caller's own, with every control token in it. Refuses to
know: sampling, engines. Above: `raw_model.asked`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from literesearcher.errors import CallerError
from literesearcher.research.messages import Message

_LARGEST = 2**31 - 1
_MOST = 128


def messages_of(given: Any) -> tuple[Message, ...]:
    """The conversation of a chat. CallerError where it is none, or holds what the model's template has no place for."""
    if not isinstance(given, list) or not given:
        raise CallerError("messages must be a list with at least one message", code="bad_request", field="messages")
    return tuple(map(_message, given))


def prompts_of(body: Mapping[str, Any]) -> list[str | tuple[int, ...]]:
    """The prompts of a completion: a text, token ids, or a list of either. CallerError for anything else."""
    given = body.get("prompt")
    several = given if isinstance(given, list) and given and isinstance(given[0], str | list) else [given]
    if len(several) > _MOST:
        raise CallerError(f"more than {_MOST} prompts in one request", code="bad_request", field="prompt")
    return list(map(_prompt, several))


def _prompt(given: Any) -> str | tuple[int, ...]:
    if isinstance(given, str) and given:
        return given
    if isinstance(given, list) and given and all(type(one) is int and 0 <= one <= _LARGEST for one in given):
        return tuple(given)
    raise CallerError(
        "prompt must be a text or a list of token ids, none of them empty", code="bad_request", field="prompt"
    )


def _message(given: Any) -> Message:
    role, content = (given.get("role"), given.get("content")) if isinstance(given, dict) else (None, None)
    if isinstance(content, list):
        texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        content = "".join(texts) if len(texts) == len(content) else None
    if role not in ("system", "user", "assistant") or not isinstance(content, str):
        raise CallerError(
            "a message has a role (system, user, assistant) and a text", code="bad_request", field="messages"
        )
    more = [name for name, value in given.items() if value and name not in ("role", "content", "name")]
    if more:
        raise CallerError(
            f"a message's {more[0][:100]} is nothing that the model reads", code="unsupported_field", field="messages"
        )
    return Message(role, content)
