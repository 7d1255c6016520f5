"""What went wrong in SGLang, as the port's errors.

Owns: which words and statuses mean what. Refuses to know: processes, requests. Above: `engine.sglang.engine`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from starlette.exceptions import HTTPException

from literesearcher.errors import BoundaryError, PromptTooLong

_TOO_LONG = ("context length", "maximum allowed length", "is longer than", "exceeds the")
_EXCERPT = 300


def unreachable(why: str) -> BoundaryError:
    """SGLang's processes are gone or never came."""
    return BoundaryError(f"SGLang is not running: {why}", code="engine_unreachable", transient=True)


def late(seconds: float) -> BoundaryError:
    """No whole answer within the time that the caller gave."""
    return BoundaryError(f"SGLang gave no answer within {seconds:.0f} s", code="engine_timeout", transient=True)


def refused(words: str) -> BoundaryError:
    """SGLang refused the request as it was put."""
    said = " ".join(words.split())[:_EXCERPT]
    if any(mark in said for mark in _TOO_LONG):
        return PromptTooLong(f"SGLang refused the prompt: {said}")
    return BoundaryError(f"SGLang refused the request: {said}", code="engine_rejected", transient=False)


def aborted(reason: dict[str, Any]) -> BoundaryError:
    """SGLang broke the request off (`finish_reason` of type abort)."""
    words = str(reason.get("message") or "it was aborted")
    return from_status(int(reason.get("status_code") or 500), words)


def from_status(status: int, words: str) -> BoundaryError:
    """By the HTTP status that SGLang would have answered with."""
    if 400 <= status < 500 and status != 429:
        return refused(words)
    code = "engine_busy" if status in (429, 503) else "engine_error"
    return BoundaryError(f"SGLang failed: {' '.join(words.split())[:_EXCERPT]}", code=code, transient=True)


def garbage(what: str) -> BoundaryError:
    """An unreadable or half answer; another try may read well."""
    return BoundaryError(f"unreadable answer of SGLang: {what}", code="engine_garbage", transient=True)


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What SGLang's tokenizer manager raises for a request, as it would have answered over HTTP."""
    try:
        yield
    except HTTPException as error:
        raise from_status(error.status_code, str(error.detail)) from None
    except (ValueError, TypeError) as error:
        raise refused(str(error)) from None
