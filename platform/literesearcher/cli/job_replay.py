"""What `literesearcher jobs replay` prints of a replay: one line where all is the same, else diffs, or JSON.

Owns: words and the form of diffs. Refuses to know: where the events come from, what must agree (`research.replaying`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from literesearcher.cli.terminal_text import one_line
from literesearcher.errors import CallerError
from literesearcher.jobs.model import Envelope
from literesearcher.research.events import JobEnded
from literesearcher.research.replaying import Divergence, Replay, replay
from literesearcher.tools.rejoining import rejoined

SHOWN = 5
"""Divergences shown in words: what follows the first is often its consequence."""
LINE_CHARACTERS = 160
DIFF_LINES = 60
CONTEXT_LINES = 3
COMPARED_LINES = 2_000


def replayed(events: Sequence[Envelope], *, partial: bool) -> Replay:
    """The replay of a journal. CallerError where it has not ended, unless `partial`."""
    if not partial and not any(isinstance(envelope.event, JobEnded) for envelope in events):
        raise CallerError(
            f"job {events[0].job_id if events else ''} has not ended: replay it when it has, "
            "or what is there so far with --partial"
        )
    return replay(events, rejoined)


def summary(found: Replay) -> str:
    """The one line of a replay that went through."""
    so_far = "" if found.ended else " so far (the job has not ended)"
    return f"{_number(found.turns, 'turn')}, {_number(found.tool_calls, 'tool call')}, same decisions{so_far}"


def told(found: Replay) -> Iterator[str]:
    """The divergences in words, each with its diff, fit for a terminal."""
    for divergence in found.divergences[:SHOWN]:
        yield f"event {divergence.seq}, {divergence.type}: {one_line(divergence.what, 400)}"
        lines = list(diff(divergence))
        yield from lines[:DIFF_LINES]
        if len(lines) > DIFF_LINES:
            yield f"... {len(lines) - DIFF_LINES} more lines, see --json"
    if len(found.divergences) > SHOWN:
        yield f"... and {len(found.divergences) - SHOWN} more divergences, see --json"
    yield f"{_number(len(found.divergences), 'divergence')} up to event {found.last_seq}"


def as_object(job_id: str, found: Replay) -> dict[str, Any]:
    """The whole, JSON-able."""
    return {
        "job": job_id,
        "same": not found.divergences,
        "ended": found.ended,
        "turns": found.turns,
        "tool_calls": found.tool_calls,
        "last_seq": found.last_seq,
        "divergences": [
            {
                "seq": one.seq,
                "type": one.type,
                "what": one.what,
                "recorded": one.recorded,
                "replayed": one.replayed,
                "diff": "\n".join(diff(one)),
            }
            for one in found.divergences
        ],
    }


def diff(divergence: Divergence) -> Iterator[str]:
    """A unified diff of what the journal says and what the replay gave, around the lines where they part. What cannot
    be seen is spelled out, long lines are cut in pieces."""
    lines, others = list(_lines(divergence.recorded)), list(_lines(divergence.replayed))
    # What both begin or end with is left out first: pages are long, and a diff takes time by their square.
    start = _shared(lines, others)
    end = _shared(lines[start:][::-1], others[start:][::-1])
    first, last = max(0, start - CONTEXT_LINES), max(0, end - CONTEXT_LINES)
    yield from difflib.unified_diff(
        lines[first : len(lines) - last][:COMPARED_LINES],
        others[first : len(others) - last][:COMPARED_LINES],
        f"journal, event {divergence.seq}",
        f"replay, event {divergence.seq}",
        n=CONTEXT_LINES,
        lineterm="",
    )


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        for at in range(0, max(1, len(line)), LINE_CHARACTERS):
            piece = line[at : at + LINE_CHARACTERS]
            yield piece if piece.isprintable() else "".join(map(_visible, piece))


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _shared(lines: Sequence[str], others: Sequence[str]) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(lines, others, strict=False)) if a != b), min(len(lines), len(others))
    )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
