"""A process that converts pages, one after the other, so that what a page does to its reader it does to no other.

Owns: the frames on standard input and output, the limit on its memory. Refuses to know: who asks, how long it may take
(the one who asks ends it). Above: `tools.pages.workshop`, which starts it as `python -m`.

A frame is two lengths (4 bytes each, big endian), a JSON object of the first, bytes of the second. In: the options of
`conversion.converted` and the body. Out: the facts and the text in UTF-8; or `error` in the object, with the text that
a `BoundaryError` had. It ends at the end of its input, so it never outlives who asks.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import Any, BinaryIO

import orjson

from literesearcher.errors import BoundaryError
from literesearcher.reading.conversion import converted

FRAME = struct.Struct(">II")


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Convert until the input ends."""
    while len(head := incoming.read(FRAME.size)) == FRAME.size:
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


def main() -> None:
    """Serve on standard input and output; whatever else prints goes to standard error."""
    _bound(int(sys.argv[1]))
    if hasattr(os, "nice"):
        os.nice(5)  # the event loop of whoever asks goes first
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, outgoing)


if __name__ == "__main__":
    main()
