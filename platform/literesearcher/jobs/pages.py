"""Page cursors: where the next page of a newest-first list begins, as opaque text.

Owns: the text form. A cursor names the last job of a page by (created_at, id), so that jobs which come in between
neither repeat nor push out others. Refuses to know: stores.
"""

from __future__ import annotations

import base64
import binascii

import orjson

from literesearcher.errors import CallerError
from literesearcher.jobs.ids import is_id

MAX_LIMIT = 1000
MAX_TEXT = 200
"""Characters of a question to look for."""
LOOKED_THROUGH = 5000
"""Jobs that one page of a search by text looks through: questions have no index, so that the time of a page is bounded
by this, and the cursor goes on from there."""


def encode_cursor(created_at: float, job_id: str) -> str:
    """`created_at` in Unix seconds."""
    return base64.urlsafe_b64encode(orjson.dumps([created_at, job_id])).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[float, str]:
    """Raises CallerError(field="cursor") for text that `encode_cursor` did not make."""
    try:
        made = orjson.loads(base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True))
        created_at, job_id = made
    except (ValueError, TypeError, binascii.Error):
        created_at = job_id = None
    if type(created_at) is not float or not isinstance(job_id, str) or not is_id(job_id, "job"):
        raise CallerError("the cursor was not made by this list", code="invalid_cursor", field="cursor")
    return created_at, job_id


def checked_text(text: str | None) -> str | None:
    """None for nothing to look for; CallerError(field="text") for what no question can hold, or beyond MAX_TEXT."""
    if not text:
        return None
    if len(text) > MAX_TEXT or "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise CallerError(f"text must be valid Unicode of at most {MAX_TEXT} characters", field="text")
    return text


def checked_limit(limit: int) -> int:
    """1 to 1,000 jobs a page; CallerError(field="limit") otherwise."""
    if not 1 <= limit <= MAX_LIMIT:
        raise CallerError(f"limit must be 1 to {MAX_LIMIT}", field="limit")
    return limit
