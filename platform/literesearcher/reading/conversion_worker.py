"""A process that converts pages, one after the other, so that what a page does to its reader it does to no other.

Owns: the frames on standard input and output, the limits on its memory and processor time, its end with whoever
started it. Refuses to know: who asks. Above: `tools.pages.workshop`, which starts it as `python -m` and ends it where a
page takes too long.

A frame is two lengths (4 bytes each, big endian), a JSON object of the first, bytes of the second. In: the options of
`conversion.converted` and the body. Out: the facts and the text in UTF-8; or `error` in the object, with the text that
a `BoundaryError` had. It ends at the end of its input, or in the middle of a page with the process that started it.
Arguments: bytes of address space, processor seconds for one page, the process that started it.
"""

from __future__ import annotations

import ctypes
import math
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import orjson

from literesearcher.errors import BoundaryError
from literesearcher.reading.conversion import converted

FRAME = struct.Struct(">II")
_PR_SET_PDEATHSIG = 1
"""Of Linux's prctl(2)."""


def serve(incoming: BinaryIO, outgoing: BinaryIO, before_each: Callable[[], None]) -> None:
    """Convert until the input ends."""
    while len(head := incoming.read(FRAME.size)) == FRAME.size:
        before_each()
        facts, size = FRAME.unpack(head)
        options = orjson.loads(incoming.read(facts))
        answer, text = _one(options, incoming.read(size))
        line = orjson.dumps(answer)
        outgoing.write(FRAME.pack(len(line), len(text)))
        outgoing.write(line)
        outgoing.write(text)
        outgoing.flush()


def _one(options: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        made = converted(body, **options)
    except BoundaryError as error:
        return {"error": error.message, "transient": error.transient}, b""
    facts = {
        "title": made.title,
        "language": made.language,
        "published": made.published,
        "kind": made.kind,
        "cut_characters": made.cut_characters,
    }
    return facts, made.text.encode("utf-8", "replace")


def _bound(memory_bytes: int) -> None:
    try:
        import resource  # absent on some systems, where only time bounds a worker
    except ImportError:
        return
    try:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ValueError, OSError):
        return


def _allow(seconds: int) -> None:
    """So many seconds of the processor from now on; the system ends a process that takes more."""
    try:
        import resource
    except ImportError:
        return
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    until = math.ceil(time.process_time()) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until if most == resource.RLIM_INFINITY else min(until, most), most))


def _end_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before it could be watched
        sys.exit(1)


def main() -> None:
    """Serve on standard input and output; whatever else prints goes to standard error."""
    memory_bytes, seconds, parent = map(int, sys.argv[1:4])
    _end_with(parent)
    _bound(memory_bytes)
    if hasattr(os, "nice"):
        os.nice(5)  # the event loop of whoever asks goes first
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, outgoing, lambda: _allow(seconds))


if __name__ == "__main__":
    main()
