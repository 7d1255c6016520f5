"""Refusals as OpenAI's clients read them: `{"error": {"message", "type", "param", "code"}}`.

Owns: which routes answer so, and the form. Refuses to know: statuses (`gateway.problems` has the one table), why it
went wrong. Below: nothing. Above: `gateway.problems`, `gateway.passed_answer` (an error inside a stream).
"""

from __future__ import annotations

from typing import Any

CHAT, COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/completions", "/v1/models"
OPENAI_PATHS = frozenset({CHAT, COMPLETIONS, MODELS})
"""Routes that OpenAI's clients call: every refusal of theirs has this form, those of the outermost layer too."""

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_object(code: str, message: str, *, status: int, param: str | None = None) -> dict[str, Any]:
    """The body. `code` is this program's own stable one, `param` the field of the request that is at fault."""
    kind = _TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
