"""A journal out of a file: the lines that `literesearcher jobs events ID --json` prints, read back.

Owns: the reading, and the words for what is wrong with a line. Refuses to know: what is done with the events.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from literesearcher.errors import CallerError, UnfoldableEvent
from literesearcher.jobs.model import Envelope
from literesearcher.research import codec


def read_journal(path: Path) -> list[Envelope]:
    """Every event, in the order of the file. CallerError names the line at fault."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise CallerError(f"{path} cannot be read: {error.strerror or error}", field="file") from None
    found = [_envelope(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise CallerError(f"{path} holds no events: write it with `literesearcher jobs events ID --json`", field="file")
    if len({envelope.job_id for envelope in found}) > 1:
        raise CallerError(f"{path} holds the events of several jobs: replay one at a time", field="file")
    return found


def _envelope(path: Path, number: int, line: bytes) -> Envelope:
    try:
        value: dict[str, Any] = orjson.loads(line)
        type_, version, payload = str(value["type"]), int(value["version"]), value["data"]
        if not isinstance(payload, dict):
            raise TypeError("data is no object")
        return Envelope(
            job_id=str(value["job"]),
            seq=int(value["seq"]),
            type=type_,
            version=version,
            at=datetime.fromisoformat(value["at"]),
            attempt=int(value.get("attempt") or 0),
            fence=0,
            event=codec.decode(type_, version, payload),
            payload=payload,
        )
    except UnfoldableEvent as error:
        raise CallerError(f"{path}, line {number}: {error.message}", field="file") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CallerError(f"{path}, line {number} is no event of a journal: {what}", field="file") from None
