"""Whether a zstd file is whole: the decompressor gives what a cut file holds and says nothing of what is missing.

Owns: walking frames and blocks by their headers (RFC 8878, section 3.1), without unpacking. Refuses to know: contents.
"""

from __future__ import annotations

import os
from typing import IO

import zstandard

_SKIPPABLE = (0x184D2A50, 0x184D2A5F)
_LONGEST_HEADER = 18
"""Bytes of magic number and frame header at most."""
_CHECKSUM_BYTES = 4
_RLE = 1
"""Block type whose size counts repetitions; it takes one byte in the file."""


def is_whole(raw: IO[bytes]) -> bool:
    """True where the last frame ends where the file does. Reads from the start; raises ZstdError on foreign bytes."""
    size = raw.seek(0, os.SEEK_END)
    at = 0
    while at < size:
        end = _frame_end(raw, at)
        if end is None or end > size:
            return False
        at = end
    return True


def _frame_end(raw: IO[bytes], at: int) -> int | None:
    raw.seek(at)
    head = raw.read(_LONGEST_HEADER)
    if len(head) >= 8 and _SKIPPABLE[0] <= int.from_bytes(head[:4], "little") <= _SKIPPABLE[1]:
        return at + 8 + int.from_bytes(head[4:8], "little")
    try:
        at += zstandard.frame_header_size(head)
        has_checksum = zstandard.get_frame_parameters(head).has_checksum
    except zstandard.ZstdError:
        if len(head) < _LONGEST_HEADER:
            return None
        raise
    last = False
    while not last:
        raw.seek(at)
        block = raw.read(3)
        if len(block) < 3:
            return None
        header = int.from_bytes(block, "little")
        last = bool(header & 1)
        at += 3 + (1 if header >> 1 & 3 == _RLE else header >> 3)
    return at + (_CHECKSUM_BYTES if has_checksum else 0)
