"""What a model server's failure means: one status, body or broken connection in, one attributed error out.

Owns: the table from HTTP statuses and aiohttp's exceptions to the codes of `engine.port`, the wordings by which servers
say that a prompt is too long, and what of a server's words may be repeated (one line, no key). Refuses to know:
requests, retries. Above: `engine.openai`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import aiohttp

from literesearcher.errors import BoundaryError, LiteResearcherError, PromptTooLong
from literesearcher.timing.retry import retry_after_seconds

_EXCERPT = 300
_TOO_LONG = re.compile(
    r"context[_ ]?(?:length|window|size)"
    r"|(?:prompt|input|inputs|request|messages?)\b[^.]{0,80}\b(?:too long|longer than|exceeds?)\b"
    r"|maximum (?:model|context|input|sequence) (?:length|len)|max_model_len|maximum allowed length"
    r"|reduce the length of the (?:messages|prompt|input)",
    re.IGNORECASE,
)
"""SGLang, vLLM, llama.cpp, TGI and OpenAI each word it their own way; all of them match."""


def from_status(
    status: int, headers: Mapping[str, str], body: bytes, *, now: datetime, secret: str | None
) -> LiteResearcherError:
    """The error of an answer whose status is not 200. `now` turns a Retry-After date into seconds."""
    words = excerpt(body, secret)
    said = f"the model server answered {status}" + (f": {words}" if words else "")
    if status in (401, 403):
        return BoundaryError(said, code="engine_unauthorized", transient=False)
    if status in (408, 504):
        return BoundaryError(said, code="engine_timeout", transient=True)
    if status in (429, 503, 529):
        return BoundaryError(
            said, code="engine_busy", transient=True, retry_after=retry_after_seconds(headers.get("Retry-After"), now)
        )
    too_long = _TOO_LONG.search(words) is not None or b'"context_length_exceeded"' in body
    if status == 413 or (status in (400, 422) and too_long):
        return PromptTooLong(said)
    if 400 <= status < 500:
        return BoundaryError(said, code="engine_rejected", transient=False)
    if status >= 500:
        return BoundaryError(said, code="engine_error", transient=True)
    hint = " (no model API speaks like that: check the base URL)"
    return BoundaryError(said + hint, code="engine_garbage", transient=False)


def from_error_object(error: Any, *, secret: str | None) -> LiteResearcherError:
    """The error that a server put into a 200 answer or a stream: `{"error": {"message", "code"}}`."""
    fields = error if isinstance(error, dict) else {"message": error}
    code = fields.get("code")
    message = str(fields.get("message") or error).encode("utf-8", "replace")
    if isinstance(code, str) and code.isdigit():
        code = int(code)
    if isinstance(code, int) and 400 <= code <= 599:
        return from_status(code, {}, message, now=datetime.min, secret=secret)
    words = excerpt(message, secret)
    if _TOO_LONG.search(words):
        return PromptTooLong(f"the model server refused: {words}")
    return BoundaryError(f"the model server failed: {words}", code="engine_error", transient=True)


def from_exception(error: Exception, url: str) -> BoundaryError:
    """The error of a call that got no whole answer. Only aiohttp's own exceptions, timeouts and OSErrors come here."""
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return BoundaryError(f"no trusted connection to {url} ({name})", code="engine_unreachable", transient=False)
    if isinstance(error, aiohttp.InvalidURL):
        return BoundaryError(f"{url} is no usable address", code="engine_unreachable", transient=False)
    if isinstance(error, TimeoutError):
        return BoundaryError(f"no answer from {url} in time", code="engine_timeout", transient=True)
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError | ValueError):
        return garbage(f"the answer broke off or was not HTTP ({name})")
    return BoundaryError(f"cannot reach the model server at {url} ({name})", code="engine_unreachable", transient=True)


def garbage(what: str) -> BoundaryError:
    """An unreadable or half answer; another try may read well."""
    return BoundaryError(f"unreadable answer of the model server: {what}", code="engine_garbage", transient=True)


def excerpt(body: bytes, secret: str | None) -> str:
    """The server's own words: the message of a JSON error where there is one, one line, without the key."""
    text = body[:65_536].decode("utf-8", "replace")
    if secret:
        text = text.replace(secret, "***")
    found = re.search(r'"(?:message|detail|error)"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
    words = found.group(1) if found else text
    return " ".join(re.sub(r"[\x00-\x1f\x7f]|\\[nrt]", " ", words).split())[:_EXCERPT]
