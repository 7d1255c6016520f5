"""`Prefer: wait=N` (RFC 7240) and `Idempotency-Key`: the two request headers that change what POST /v1/research does.

Owns: reading them, within bounds. Refuses to know: jobs. A preference that cannot be read is left out of account, as
the RFC asks; an idempotency key that cannot be kept is refused, because to ignore it could create a job twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from literesearcher.errors import CallerError

MAX_WAIT_SECONDS = 300
"""A longer wish is granted as this much; `Preference-Applied` says what was granted."""

_WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:;.*)?', re.IGNORECASE)
_KEY = re.compile(r"[!-~]{1,255}")


def wait_seconds(prefer: Sequence[str]) -> int | None:
    """Seconds to wait for the job's end, None where none of the `Prefer` headers asks for it."""
    for preference in ",".join(prefer).split(","):
        match = _WAIT.fullmatch(preference)
        if match is not None:
            return min(int(match[1]), MAX_WAIT_SECONDS)
    return None


def idempotency_key(values: Sequence[str]) -> str | None:
    """The key as sent, None for none; CallerError where it is empty, too long, not visible ASCII, or sent twice."""
    if not values:
        return None
    if len(values) > 1 or _KEY.fullmatch(values[0]) is None:
        raise CallerError("one key of 1 to 255 visible ASCII characters without spaces", field="Idempotency-Key")
    return values[0]
