"""Ids: a prefix and a UUIDv7 (RFC 9562) in hex, such as `job_0198f2c5d0e97c3fa1b2c3d4e5f60718`; always 32 digits.

Owns: making them and knowing one by sight. Ids of one process rise strictly, also within one millisecond and where the
machine's clock steps back, so that an index on them grows at its end. Refuses to know: what they name.
"""

from __future__ import annotations

import re
import secrets
import threading
import time

_ID = re.compile(r"[a-z]{2,8}_[0-9a-f]{32}")


class _Stamps:
    """60-bit time stamps that rise strictly within the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        nanoseconds = time.time_ns()
        stamp = (nanoseconds // 1_000_000) << 12 | (nanoseconds % 1_000_000) * 4096 // 1_000_000
        with self._lock:
            self._last = max(stamp, self._last + 1)
            return self._last


_stamps = _Stamps()


def new_id(prefix: str) -> str:
    """A new id: 48 bits of Unix milliseconds, 12 bits within the millisecond, 62 random bits."""
    return f"{prefix}_{_uuid7():032x}"


def is_id(value: str, prefix: str) -> bool:
    """Has it the form that `new_id(prefix)` gives? What has not is unknown without a look into any store."""
    return value.startswith(f"{prefix}_") and _ID.fullmatch(value) is not None


def _uuid7() -> int:
    stamp = _stamps.next()
    return (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62)
