"""Files of corpus records, one JSON object a line, plain or compressed, in the three shapes that are in use.

| shape | from |
| --- | --- |
| `{"id", "text", "metadata": {"title", "url"}}` | `.jsonl`, `.json.gz` |
| `{"url", "title", "doc"}` | `.jsonl.zst` |
| `{"link", "title", "content" or "snippet"}` | Serper's |

Reads in bounded memory whatever the file holds: a line that is too long is skipped, a file that unpacks to far more
than it is stops. Refuses to know: the index, folders. Neighbour: `corpus.ingestion`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson
import zstandard

from literesearcher.corpus.records import TITLE_CHARS, URL_CHARS, Record
from literesearcher.corpus.zstd_frames import is_whole
from literesearcher.reading.unicode_text import valid_unicode

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json.gz", ".ndjson", ".json")
LINE_BYTES = 16_000_000
"""A longer line is counted as broken."""
_BOMB_BYTES, _BOMB_RATIO = 256_000_000, 200
"""Real text unpacks to 3 to 20 times its size; more than this ratio beyond this size is no corpus."""
_CHUNK = 1 << 20
_WINDOW_BYTES = 1 << 27
"""Largest window that a zstd frame may ask memory for (its own command line's default)."""


class BrokenFile(ValueError):
    """The rest of the file cannot be read; the message says why, for a person."""


def is_record_file(name: str, *, alone: bool = False) -> bool:
    """By its name. A bare `.json` counts only where it is the file that was asked for."""
    lower = name.lower()
    return lower.endswith(SUFFIXES[:-1]) or (alone and lower.endswith(".json"))


def lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """(1-based number, line) of each line that is not blank; None for one that is too long. Raises `BrokenFile`."""
    number, held, skipping = 0, b"", False
    for chunk in _chunks(path):
        pieces = (held + chunk).split(b"\n") if held else chunk.split(b"\n")
        held = pieces.pop()
        for piece in pieces:
            number += 1
            if skipping or len(piece) > LINE_BYTES:
                skipping = False
                yield number, None
            elif piece.strip():
                yield number, piece
        if len(held) > LINE_BYTES or (skipping and held):
            held, skipping = b"", True
    if skipping or held.strip():
        yield number + 1, None if skipping else held


def _chunks(path: Path) -> Iterator[bytes]:
    size = max(1, path.stat().st_size)
    packed = path.suffix.lower() in (".gz", ".zst")
    total = 0
    try:
        with path.open("rb") as raw, _unpacked(raw, path) as stream:
            while chunk := stream.read(_CHUNK):
                total += len(chunk)
                if packed and total > _BOMB_BYTES and total > _BOMB_RATIO * size:
                    raise BrokenFile(f"it unpacks to more than {_BOMB_RATIO} times its size; the rest is left out")
                yield chunk
            if path.suffix.lower() == ".zst" and not is_whole(raw):
                raise BrokenFile("it cannot be unpacked to its end (it was cut off)")
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise BrokenFile(f"it cannot be unpacked to its end ({str(error)[:100]})") from None


def _unpacked(raw: IO[bytes], path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if suffix == ".zst":
        reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
        return reader.stream_reader(raw, read_across_frames=True, closefd=False)
    return raw


def record(line: bytes, fallback_url: str) -> Record:
    """The page in a line. `fallback_url`: its URL where the record has none. Raises ValueError that says what is wrong.

    The URL fallback gets `#id` appended where the record has an id.
    """
    value = _parsed(line)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    text = _first(value, "text", "doc", "content", "snippet")
    if not text:
        raise ValueError("it has no text (text, doc, content or snippet)")
    url = _first(metadata, "url") or _first(value, "url", "link")
    if not url:
        identity = value.get("id")
        named = isinstance(identity, (str, int)) and not isinstance(identity, bool) and str(identity)
        url = f"{fallback_url.partition('#')[0]}#{identity}" if named else fallback_url
    if len(url) > URL_CHARS:
        raise ValueError(f"its URL is longer than {URL_CHARS} characters")
    title = _first(metadata, "title") or _first(value, "title")
    title = " ".join((title or text[:400].strip().split("\n", 1)[0].strip("# ") or url).split())[:TITLE_CHARS]
    return Record(url=valid_unicode(url), title=valid_unicode(title), text=valid_unicode(text))


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        strict = str(error)
    try:
        # Lone surrogate escapes and NaN, which the strict parser refuses, are in real corpora.
        return json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise ValueError(f"it is not JSON ({strict[:80]})") from None


def _first(value: dict[str, Any], *names: str) -> str:
    for name in names:
        found = value.get(name)
        if isinstance(found, str) and found.strip():
            return found.replace("\0", "").strip()
    return ""
